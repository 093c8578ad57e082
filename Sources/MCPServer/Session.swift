import JSON
import MCP
import ProcessMemory
import Synchronization

/// A legacy conversation: an `Mcp-Session-Id` session over HTTP, or a stdio process after `initialize`.
///
/// An idle session needs no buffers and no tasks: it costs this object, its id and one table entry.
final class Session: Sendable {
    typealias Answer = OneShot<Result<JSONValue, any Error>>

    private struct InFlight {
        /// Serial number that distinguishes two requests with the same id, one after the other.
        let serial: UInt64
        let cancel: @Sendable () -> Void
    }

    private struct State {
        var isEnded = false
        var logLevel: LoggingLevel?
        var inFlight: [RequestID: InFlight] = [:]
        var questions: [RequestID: Answer] = [:]
        var subscriptions: Set<String> = []
        /// Number of bytes that the subscriptions have drawn.
        var subscribedBytes = 0
        /// Streams that a client may resume, those of POST and of GET alike.
        var streams: [UInt32: EventStream] = [:]
        /// Streams of GET, the newest last.
        var listeners: [EventStream] = []
        var nextStream: UInt32 = 0
        var nextSerial: UInt64 = 0
    }

    let id: String
    let facts: SessionMetadata
    /// Number of the session in this process, never reused.
    let serial: UInt64
    private let memory: MemoryBudget
    private let state = Mutex(State())

    private static let serials = Atomic<UInt64>(0)
    private static let questionNumbers = Atomic<UInt64>(0)

    /// Largest number of URIs to which one session may subscribe.
    static let subscriptionLimit = 256
    /// Largest number of GET streams of one session; a further one ends the oldest.
    static let listenerLimit = 4

    /// - Parameter memory: Budget from which the subscriptions draw.
    init(id: String, facts: SessionMetadata, memory: MemoryBudget = .unlimited) {
        self.id = id
        self.facts = facts
        self.memory = memory
        serial = Self.serials.wrappingAdd(1, ordering: .relaxed).newValue
    }

    deinit { memory.release(state.withLock { $0.subscribedBytes }) }

    // MARK: Requests in flight

    enum RequestError: Error { case duplicate, ended }

    /// Registers a request and returns its token for ``finish(_:_:)``.
    func begin(_ id: RequestID, cancel: @escaping @Sendable () -> Void) throws(RequestError) -> UInt64 {
        try state.withLock { state throws(RequestError) in
            if state.isEnded { throw .ended }
            if state.inFlight[id] != nil { throw .duplicate }
            state.nextSerial += 1
            state.inFlight[id] = InFlight(serial: state.nextSerial, cancel: cancel)
            return state.nextSerial
        }
    }

    func finish(_ id: RequestID, _ token: UInt64) {
        state.withLock { state in
            if state.inFlight[id]?.serial == token { state.inFlight[id] = nil }
        }
    }

    /// Handles `notifications/cancelled`; an unknown id is ignored.
    func cancel(_ id: RequestID) {
        let request = state.withLock { $0.inFlight[id] }
        request?.cancel()
    }

    /// True if a request runs or a client listens: such a session is not idle.
    var isBusy: Bool {
        state.withLock { !$0.inFlight.isEmpty || $0.listeners.contains(where: \.isConnected) }
    }

    /// Ends the session if it is not busy: it accepts no further requests. Its streams are released by ``end()``.
    /// - Returns: False for a busy session, which continues.
    func endIfIdle() -> Bool {
        state.withLock { state in
            guard state.inFlight.isEmpty, !state.listeners.contains(where: \.isConnected) else { return false }
            state.isEnded = true
            return true
        }
    }

    // MARK: Questions to the client

    /// Waits for the client's answer to a server-to-client request, which `send` sends.
    ///
    /// Errors: ``ClientQuestionError``, the client's own `JSONRPCError`, `CancellationError`.
    func ask(
        _ method: String, _ params: JSONObject?, timeout: Duration,
        send: (_ message: [UInt8]) async throws -> Void
    ) async throws -> JSONValue {
        let id = RequestID.string("server-\(Self.questionNumbers.wrappingAdd(1, ordering: .relaxed).newValue)")
        let answer = Answer()
        // Registered before it is sent: the answer may arrive before `send` returns.
        let registered = state.withLock { state in
            if state.isEnded { return false }
            state.questions[id] = answer
            return true
        }
        guard registered else { throw ClientQuestionError.sessionEnded }
        defer { state.withLock { _ = $0.questions.removeValue(forKey: id) } }
        let timer = Task {
            try await Task.sleep(for: timeout)
            answer.set(.failure(ClientQuestionError.timedOut))
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await send(JSONRPCRequest(id: id, method: method, params: params).json.serialized)
            return try await answer.value().get()
        } onCancel: {
            answer.set(.failure(CancellationError()))
        }
    }

    /// Handles a response of the client. A response to an unknown or answered question is ignored.
    func settle(_ response: JSONRPCResponse) {
        guard let id = response.id, let answer = state.withLock({ $0.questions[id] }) else { return }
        switch response.outcome {
        case .success(let result): answer.set(.success(result))
        case .failure(let error): answer.set(.failure(error))
        }
    }

    // MARK: What the client asked to hear

    var logLevel: LoggingLevel? {
        get { state.withLock { $0.logLevel } }
        set { state.withLock { $0.logLevel = newValue } }
    }

    /// Subscribes to a resource. All of a URI is drawn from the budget: sessions are many, and live long.
    ///
    /// - Throws: -32602 for too many subscriptions or too long a URI, -32603 where there is no memory for it.
    func subscribe(_ uri: String) throws(JSONRPCError) {
        let size = uri.utf8.count
        guard size <= SubscriptionFilter.maximumURIBytes else {
            throw .invalidParams("uri: at most \(SubscriptionFilter.maximumURIBytes) bytes")
        }
        try state.withLock { state throws(JSONRPCError) in
            guard !state.isEnded, !state.subscriptions.contains(uri) else { return }
            guard state.subscriptions.count < Self.subscriptionLimit else {
                throw .invalidParams("Too many subscriptions in this session")
            }
            guard memory.draw(size) else { throw .internalError("Server overloaded: no memory for the subscription") }
            state.subscriptions.insert(uri)
            state.subscribedBytes += size
        }
    }

    func unsubscribe(_ uri: String) {
        state.withLock { state in
            guard state.subscriptions.remove(uri) != nil else { return }
            state.subscribedBytes -= uri.utf8.count
            memory.release(uri.utf8.count)
        }
    }

    func isSubscribed(to uri: String) -> Bool { state.withLock { $0.subscriptions.contains(uri) } }

    // MARK: Streams

    /// Opens a stream; nil: the session has ended.
    func openStream(store: EventStore, listening: Bool) -> EventStream? {
        var excess: EventStream?
        let stream: EventStream? = state.withLock { state in
            if state.isEnded { return nil }
            state.nextStream += 1
            let stream = EventStream(session: serial, number: state.nextStream, store: store)
            state.streams[stream.number] = stream
            if listening {
                state.listeners.append(stream)
                if state.listeners.count > Self.listenerLimit { excess = state.listeners.removeFirst() }
                if let excess { state.streams[excess.number] = nil }
            }
            return stream
        }
        excess?.end()
        excess?.forget()
        return stream
    }

    func stream(_ number: UInt32) -> EventStream? { state.withLock { $0.streams[number] } }

    /// Removes a stream and its stored events.
    func drop(_ stream: EventStream) {
        state.withLock { state in
            state.streams[stream.number] = nil
            state.listeners.removeAll { $0 === stream }
        }
        stream.end()
        stream.forget()
    }

    /// Sends a message that belongs to no request, on one GET stream: a connected one if there is any, else the newest
    /// that may still be resumed. Without a stream it is dropped.
    func announce(_ message: [UInt8]) {
        let stream = state.withLock { state in
            state.listeners.last(where: \.isConnected) ?? state.listeners.last
        }
        stream?.offer(message)
    }

    func keepAlive() {
        let streams = state.withLock { state in state.streams.isEmpty ? [] : Array(state.streams.values) }
        for stream in streams { stream.keepAlive() }
    }

    // MARK: End

    /// Cancels requests, fails questions, ends every stream. Idempotent.
    func end() {
        let (requests, answers, streams) = state.withLock { state in
            state.isEnded = true
            defer {
                state.streams = [:]
                state.listeners = []
                state.subscriptions = []
                memory.release(state.subscribedBytes)
                state.subscribedBytes = 0
            }
            return (Array(state.inFlight.values), Array(state.questions.values), Array(state.streams.values))
        }
        for request in requests { request.cancel() }
        for answer in answers { answer.set(.failure(ClientQuestionError.sessionEnded)) }
        for stream in streams {
            stream.end()
            stream.forget()
        }
    }
}
