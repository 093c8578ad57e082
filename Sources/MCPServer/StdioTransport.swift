import JSON
import MCP
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Stdio transport of both eras: one JSON message a line in each direction.
package struct StdioTransport: Sendable {
    private let server: MCPServer
    private let input: Int32
    private let output: Int32
    private let maximumLineBytes: Int
    private let principal: Principal?

    /// - Parameters:
    ///   - input, output: File descriptors; nothing else may write to `output`.
    ///   - maximumLineBytes: Largest line in bytes; a longer one is answered with an error.
    ///   - principal: Principal on whose behalf all requests run.
    package init(
        server: MCPServer, input: Int32 = 0, output: Int32 = 1, maximumLineBytes: Int = 4 * 1024 * 1024,
        principal: Principal? = nil
    ) {
        self.server = server
        self.input = input
        self.output = output
        self.maximumLineBytes = maximumLineBytes
        self.principal = principal
    }

    /// Serves until the end of the input, or until the task is cancelled; then answers the requests in flight and
    /// returns.
    ///
    /// Ignores SIGPIPE in the whole process: a client that leaves must not end it in the middle of a write.
    package func run() async {
        _ = signal(SIGPIPE, SIG_IGN)
        let conversation = StdioConversation(
            server: server, writer: LineWriter(descriptor: output), principal: principal)
        let (lines, taken) = LineReader.lines(of: input, limit: maximumLineBytes)
        await withDiscardingTaskGroup { group in
            for await line in lines {
                taken()
                if let task = await conversation.receive(line) { group.addTask { await task.value } }
            }
            conversation.inputEnded()
        }
        await conversation.close()
    }
}

/// State of one stdio process.
final class StdioConversation: Sendable {
    private let server: MCPServer
    private let writer: LineWriter
    private let principal: Principal?
    /// Requests of both eras in flight: ids are unique in the process.
    private let requests = Session(id: "", facts: SessionMetadata(version: .latestModern))
    /// Session after `initialize`.
    private let session: SharedSession
    private let subscriptions = ListenSubscriptions()
    private let changes: MCPServer.ChangeToken

    private final class SharedSession: Sendable {
        let value = Mutex<Session?>(nil)
    }

    init(server: MCPServer, writer: LineWriter, principal: Principal?) {
        self.server = server
        self.writer = writer
        self.principal = principal
        let session = SharedSession()
        self.session = session
        changes = server.onChange { [subscriptions] change in
            subscriptions.announce(change)
            guard let session = session.value.withLock({ $0 }) else { return }
            if case .resource(let uri) = change, !session.isSubscribed(to: uri) { return }
            writer.post(change.notification.json.serialized)
        }
    }

    private struct Channel: RequestChannel {
        let session: Session?
        let writer: LineWriter
        var canAsk: Bool { session != nil }
        func emit(_ message: [UInt8]) async { await writer.write(message) }
        func releaseConnection() {}
    }

    /// Handles one line; returns the task that answers it, if it is a request that may take long.
    func receive(_ line: InputLine) async -> Task<Void, Never>? {
        guard case .text(let bytes) = line else {
            await writer.write(Envelope.error(nil, .invalidRequest("The line is too long")))
            return nil
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            await writer.write(Envelope.error(nil, .parseError("\(error)")))
            return nil
        }
        if case .array(let elements) = value { return await receiveBatch(elements) }
        return await receive(value) { [writer] document in
            if let document { await writer.write(document) }
        }
    }

    private typealias Reply = @Sendable ([UInt8]?) async -> Void

    private func receive(_ value: JSONValue, _ reply: @escaping Reply) async -> Task<Void, Never>? {
        do {
            switch try JSONRPCMessage(value) {
            case .request(let call):
                return await receive(call, reply)
            case .notification(let notification):
                server.note(notification, session: requests)
            case .response(let response):
                session.value.withLock { $0 }?.settle(response)
            }
        } catch {
            await reply(Envelope.error(JSONRPCMessage.requestID(of: value), error))
        }
        return nil
    }

    private func receive(_ call: JSONRPCRequest, _ reply: @escaping Reply) async -> Task<Void, Never>? {
        do throws(JSONRPCError) {
            let context: ToolContext
            if RequestMetadata.isModern(call.meta) {
                let metadata = try server.metadata(of: call)
                try server.checkMethod(call, in: .latestModern)
                if call.method == MCPMethod.subscriptionsListen {
                    try openSubscription(call)
                    return nil
                }
                context = try server.context(
                    of: call, metadata: metadata, principal: principal, traceparent: nil,
                    channel: Channel(session: nil, writer: writer))
            } else if call.method == MCPMethod.initialize {
                await reply(Envelope.result(call.id, try initialize(call)))
                return nil
            } else if let session = session.value.withLock({ $0 }) {
                context = server.context(
                    of: call, version: session.facts.version, session: session, principal: principal,
                    traceparent: nil, channel: Channel(session: session, writer: writer))
            } else if call.method == MCPMethod.ping {
                await reply(Envelope.result(call.id, [:]))
                return nil
            } else {
                try server.checkMethod(call, in: .latestLegacy)
                throw .invalidRequest("The first request must be initialize, or carry the metadata of 2026-07-28")
            }
            return try launch(call, context, reply)
        } catch {
            await reply(Envelope.error(call.id, error))
            return nil
        }
    }

    private func launch(
        _ call: JSONRPCRequest, _ context: ToolContext, _ reply: @escaping Reply
    ) throws(JSONRPCError) -> Task<Void, Never> {
        let handle = CancellationHandle()
        let token = try begin(call.id) { handle.cancel() }
        let task = Task { [server, requests] in
            let document: [UInt8]? =
                switch await server.answer(call, context) {
                case .result(let response): response
                case .error(let error): Envelope.error(call.id, error)
                case .cancelled: nil
                }
            requests.finish(call.id, token)
            await reply(document)
        }
        handle.bind([task])
        return task
    }

    private func begin(_ id: RequestID, cancel: @escaping @Sendable () -> Void) throws(JSONRPCError) -> UInt64 {
        do {
            return try requests.begin(id, cancel: cancel)
        } catch {
            throw .invalidRequest("Request id is already in use")
        }
    }

    private func initialize(_ call: JSONRPCRequest) throws(JSONRPCError) -> JSONObject {
        let (result, version, features) = try server.initialize(call)
        let fresh = Session(id: "", facts: SessionMetadata(version: version, features: features, owner: principal?.id))
        let isFirst = session.value.withLock { session in
            guard session == nil else { return false }
            session = fresh
            return true
        }
        guard isFirst else { throw .invalidRequest("The session is initialized already") }
        return result
    }

    private func openSubscription(_ call: JSONRPCRequest) throws(JSONRPCError) {
        let filter = try SubscriptionFilter.requested(by: call, served: server.capabilities)
        // Lines are handled one after the other, so no cancellation can come before both tokens are set.
        let tokens = Tokens()
        let request = try begin(call.id) { [subscriptions, requests] in
            let (request, subscription) = tokens.value.withLock { $0 }
            subscriptions.remove(subscription)
            requests.finish(call.id, request)
        }
        let subscription = subscriptions.open(
            call.id, filter, send: { [writer] in writer.post($0) }, close: {})
        tokens.value.withLock { $0 = (request, subscription) }
    }

    private final class Tokens: Sendable {
        let value = Mutex<(request: UInt64, subscription: UInt64)>((0, 0))
    }

    /// Handles a batch of 2025-03-26: its answers are sent as one array.
    private func receiveBatch(_ elements: [JSONValue]) async -> Task<Void, Never>? {
        guard let session = session.value.withLock({ $0 }), session.facts.version.hasBatches, !elements.isEmpty else {
            await writer.write(Envelope.error(nil, .invalidRequest("Batches are not part of this revision")))
            return nil
        }
        let documents = BatchDocuments()
        var tasks: [Task<Void, Never>] = []
        for element in elements {
            if element["method"]?.string == MCPMethod.initialize {
                let error = JSONRPCError.invalidRequest("initialize is not allowed in a batch")
                documents.add(Envelope.error(JSONRPCMessage.requestID(of: element), error))
            } else if let task = await receive(element, { document in if let document { documents.add(document) } }) {
                tasks.append(task)
            }
        }
        return Task { [writer] in
            for task in tasks { await task.value }
            if let array = documents.array { await writer.write(array) }
        }
    }

    private final class BatchDocuments: Sendable {
        private let documents = Mutex<[[UInt8]]>([])
        func add(_ document: [UInt8]) { documents.withLock { $0.append(document) } }
        var array: [UInt8]? {
            let documents = documents.withLock { $0 }
            return documents.isEmpty ? nil : [0x5B] + Array(documents.joined(separator: [0x2C])) + [0x5D]
        }
    }

    /// Handles the end of the input: questions cannot be answered any more, and subscriptions end with their results.
    func inputEnded() {
        session.value.withLock { $0 }?.end()
        subscriptions.end(serverInfo: server.info)
    }

    /// Waits until all output is written.
    func close() async { await writer.flush() }
}
