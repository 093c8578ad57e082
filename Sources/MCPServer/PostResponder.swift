import MCP
import Synchronization

/// Response to one POST while its requests run: one JSON document if no message is sent before the end, else an event
/// stream.
final class PostResponder: RequestChannel, OpenResponse {
    private enum Sink: Sendable {
        /// 2026-07-28: the response ends with its connection.
        case connection(MCPResponseStream)
        /// Legacy: the response outlives its connection.
        case stream(EventStream)
    }

    private enum Phase {
        case waiting(CheckedContinuation<MCPHTTPResponse, Never>?)
        case streaming(Sink)
        case over
    }

    private struct State {
        var phase = Phase.waiting(nil)
        var documents: [[UInt8]] = []
        var remaining: Int
        var status = 200
        var whenOver: (@Sendable () -> Void)?
    }

    /// Forms of response that the client accepts.
    struct Form: Sendable {
        var acceptsJSON = true
        var acceptsStream = true
        /// Milliseconds for the priming event (2025-11-25); nil: there is none.
        var priming: Int?
    }

    let session: Session?
    private let store: EventStore
    private let form: Form
    private let isBatch: Bool
    private let state: Mutex<State>
    private let cancellation = CancellationHandle()
    private let onStreamEnd: @Sendable (EventStream) -> Void

    /// - Parameters:
    ///   - requests: Number of answers that make the response.
    ///   - onStreamEnd: Called when a legacy stream has carried its last message.
    init(
        session: Session?, store: EventStore, form: Form, requests: Int = 1, isBatch: Bool = false,
        onStreamEnd: @escaping @Sendable (EventStream) -> Void
    ) {
        self.session = session
        self.store = store
        self.form = form
        self.isBatch = isBatch
        self.onStreamEnd = onStreamEnd
        state = Mutex(State(remaining: requests))
    }

    /// Sets the closure that is called once the last request is answered. Must be set before that can happen.
    func whenOver(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.whenOver = action } }

    var canAsk: Bool { session != nil && form.acceptsStream }

    /// Starts the work and waits until the response can begin.
    func response(_ start: () -> [Task<Void, Never>]) async -> MCPHTTPResponse {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.phase = .waiting(continuation) }
                // Before the work begins, which may end at once.
                if !form.acceptsJSON { promote() }
                cancellation.bind(start())
                if Task.isCancelled { desert() }
            }
        } onCancel: {
            desert()
        }
    }

    /// Begins the event stream before the first message, because the call runs long.
    func promote() {
        guard form.acceptsStream else { return }
        state.withLock { begin(&$0) }?.proceed()
    }

    func emit(_ message: [UInt8]) async {
        let (opening, sink) = state.withLock { state -> (Opening?, Sink?) in
            let opening = form.acceptsStream ? begin(&state) : nil
            guard case .streaming(let sink) = state.phase else { return (nil, nil) }
            Self.push(message, to: sink)
            return (opening, sink)
        }
        opening?.proceed()
        switch sink {
        case .connection(let connection): await connection.room()
        case .stream(let stream): await stream.room()
        case nil: break
        }
    }

    /// Adds the answer to one request; nil: it was cancelled, and gets no answer on a stream.
    func finish(_ document: [UInt8]?, cancelled substitute: @autoclosure () -> [UInt8], status: Int = 200) {
        let (end, whenOver) = state.withLock { state -> (End?, (@Sendable () -> Void)?) in
            state.remaining -= 1
            let end = take(document ?? substitute(), isSubstitute: document == nil, status, &state)
            return (end, state.remaining <= 0 ? state.whenOver : nil)
        }
        whenOver?()
        switch end {
        case .whole(let continuation, let response):
            continuation?.resume(returning: response)
        case .streamed(.connection(let connection)):
            connection.close()
        case .streamed(.stream(let stream)):
            stream.end()
            onStreamEnd(stream)
        case nil:
            break
        }
    }

    func releaseConnection() {
        promote()
        let sink = state.withLock { state -> Sink? in
            guard case .streaming(let sink) = state.phase else { return nil }
            return sink
        }
        if case .stream(let stream)? = sink { stream.closeConnection(retry: form.priming ?? 1000) }
    }

    /// Sends a comment, so that proxies do not close a quiet stream.
    func keepAlive() {
        let sink = state.withLock { state -> Sink? in
            guard case .streaming(let sink) = state.phase else { return nil }
            return sink
        }
        switch sink {
        case .connection(let connection): connection.push(SSEWriter.comment("keep-alive"))
        case .stream(let stream): stream.keepAlive()
        case nil: break
        }
    }

    // MARK: Inside

    /// Handles a client that left before the response began. In 2026-07-28 this cancels the requests; in the legacy
    /// revisions they continue, although their results cannot be delivered.
    private func desert() {
        let continuation = state.withLock { state -> CheckedContinuation<MCPHTTPResponse, Never>? in
            guard case .waiting(let continuation) = state.phase, let continuation else { return nil }
            state.phase = .over
            return continuation
        }
        guard let continuation else { return }
        continuation.resume(returning: .whole(status: 499, headers: [], body: []))
        if session == nil { cancellation.cancel() }
    }

    /// Adds an answer; returns the necessary action if it was the last.
    private func take(_ document: [UInt8], isSubstitute: Bool, _ status: Int, _ state: inout State) -> End? {
        let isLast = state.remaining <= 0
        switch state.phase {
        case .waiting(let continuation):
            state.documents.append(document)
            if !isBatch { state.status = status }
            guard isLast else { return nil }
            state.phase = .over
            let body = isBatch ? Self.array(state.documents) : document
            return .whole(continuation, .json(body, status: state.status))
        case .streaming(let sink):
            if !isSubstitute { Self.push(document, to: sink) }
            guard isLast else { return nil }
            state.phase = .over
            return .streamed(sink)
        case .over:
            return nil
        }
    }

    private struct Opening {
        let continuation: CheckedContinuation<MCPHTTPResponse, Never>
        let connection: MCPResponseStream

        func proceed() { continuation.resume(returning: .eventStream(connection)) }
    }

    private enum End {
        case whole(CheckedContinuation<MCPHTTPResponse, Never>?, MCPHTTPResponse)
        case streamed(Sink)
    }

    /// Turns a waiting response into an event stream; nil: it is one already, or is over.
    private func begin(_ state: inout State) -> Opening? {
        guard case .waiting(let continuation) = state.phase, let continuation else { return nil }
        let connection = MCPResponseStream(memory: store.memory)
        let sink: Sink
        if let session {
            guard let stream = session.openStream(store: store, listening: false) else { return nil }
            connection.whenAbandoned { [weak connection] in
                if let connection { stream.disconnected(connection) }
            }
            stream.connect(connection, priming: form.priming)
            sink = .stream(stream)
        } else {
            connection.whenAbandoned { [cancellation] in cancellation.cancel() }
            sink = .connection(connection)
        }
        let early = state.documents
        state.documents = []
        for document in early { Self.push(document, to: sink) }
        state.phase = .streaming(sink)
        return Opening(continuation: continuation, connection: connection)
    }

    private static func push(_ message: [UInt8], to sink: Sink) {
        switch sink {
        case .connection(let connection): connection.push(SSEWriter.event(data: message, event: "message"))
        case .stream(let stream): stream.offer(message)
        }
    }

    private static func array(_ documents: [[UInt8]]) -> [UInt8] {
        [0x5B] + Array(documents.joined(separator: [0x2C])) + [0x5D]
    }
}

/// Handle that can cancel tasks before they exist.
final class CancellationHandle: Sendable {
    private struct State {
        var isCancelled = false
        var tasks: [Task<Void, Never>] = []
    }

    private let state = Mutex(State())

    func bind(_ tasks: [Task<Void, Never>]) {
        let cancelled = state.withLock { state in
            state.tasks += tasks
            return state.isCancelled
        }
        if cancelled { for task in tasks { task.cancel() } }
    }

    func cancel() {
        let tasks = state.withLock { state in
            state.isCancelled = true
            return state.tasks
        }
        for task in tasks { task.cancel() }
    }
}

extension MCPHTTPResponse {
    static func json(_ body: [UInt8], status: Int = 200, headers: [(String, String)] = []) -> MCPHTTPResponse {
        .whole(status: status, headers: [("Content-Type", "application/json")] + headers, body: body)
    }

    static func eventStream(_ connection: MCPResponseStream) -> MCPHTTPResponse {
        .stream(
            status: 200,
            headers: [
                ("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache, no-transform"),
                ("X-Accel-Buffering", "no"),
            ], body: connection)
    }

    static func accepted() -> MCPHTTPResponse { .whole(status: 202, headers: [], body: []) }

    static func error(
        _ error: JSONRPCError, id: RequestID? = nil, status: Int, headers: [(String, String)] = []
    ) -> MCPHTTPResponse {
        .json(Envelope.error(id, error), status: status, headers: headers)
    }
}
