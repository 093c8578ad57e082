package import CurlTransport
import JSON
import MCP
package import NIOCore
import Synchronization

/// Caller of one upstream from one event loop, on which every method must be called and every callback comes.
///
/// There is one for each worker and upstream. All of them share the upstream's sessions.
package final class MCPCaller {
    /// Upstream that is called.
    package let upstream: MCPUpstream
    /// Event loop that all methods and callbacks run on.
    package let eventLoop: any EventLoop
    let transport: any MessageTransport
    let watch: CallWatch
    let tails: OpenTails
    private let ignored = IgnoredResponse()
    /// Callers of the same server on behalf of other clients.
    private var variants: [MCPUpstream.Variant: MCPCaller] = [:]
    /// The one of them that was used last: most clients of a server are alike.
    private var recent: (variant: MCPUpstream.Variant, caller: MCPCaller)?

    /// Creates a caller that uses an engine from an event loop.
    package convenience init(upstream: MCPUpstream, engine: CurlEngine, eventLoop: any EventLoop) {
        self.init(upstream: upstream, transport: engine, eventLoop: eventLoop)
    }

    init(upstream: MCPUpstream, transport: any MessageTransport, eventLoop: any EventLoop) {
        self.upstream = upstream
        self.transport = transport
        self.eventLoop = eventLoop
        watch = CallWatch(eventLoop: eventLoop)
        tails = OpenTails(eventLoop: eventLoop)
    }

    /// Returns the caller of the same server for clients of that revision with these capabilities.
    func variant(_ version: MCPVersion?, _ capabilities: ClientCapabilities) -> MCPCaller {
        if version == nil, capabilities == upstream.capabilities { return self }
        let variant = MCPUpstream.Variant(version: version, capabilities: capabilities)
        if let recent, recent.variant == variant { return recent.caller }
        if let known = variants[variant] {
            recent = (variant, known)
            return known
        }
        let made = MCPCaller(upstream: upstream.variant(variant), transport: transport, eventLoop: eventLoop)
        variants[variant] = made
        return made
    }

    /// Calls a tool.
    /// - Parameter completion: Called exactly once, perhaps before this method returns.
    @discardableResult
    package func call(_ call: MCPToolCall, completion: @escaping (MCPCallOutcome) -> Void) -> MCPCallHandle {
        let (entry, renewal) = upstream.entry(for: call.tool, now: .now())
        let configuration = upstream.configuration
        let isIdempotent = configuration.trusted && entry?.mayRunTwice == true
        let replays = isIdempotent ? max(0, configuration.replays - call.earlierRuns) : 0
        if let renewal { renewCatalog(renewal) }
        var request = OutgoingRequest(
            body: .toolCall(tool: call.tool, arguments: call.arguments), credentials: call.credentials,
            deadline: call.deadline, idleTimeout: call.idleTimeout, traceparent: call.traceparent,
            replays: configuration.hasAlternatives ? min(replays, 1) : replays, replaysLeft: replays,
            takesInputRequests: call.onQuestion != nil, mirrored: entry?.mirrored ?? .none,
            onProgress: call.onProgress)
        request.input = call.input
        request.idempotencyKey = call.idempotencyKey
        request.onQuestion = call.onQuestion
        request.questionTime = call.questionTime
        return perform(request, completion: completion)
    }

    /// Lists the upstream's tools, all pages, and keeps them as `upstream.catalog`.
    ///
    /// The first call must be made by the user of this type; later ones happen by themselves when the list is stale.
    package func refreshCatalog(
        credentials: ForwardedCredentials = .anonymous, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, MCPCallError>) -> Void
    ) {
        CatalogLoader(caller: self, credentials: credentials, deadline: deadline, completion: completion).start()
    }

    /// Ends sessions that have been idle for too long. Calls do this too; a gateway without calls needs a timer.
    package func sweep() {
        end(upstream.evict(now: .now()))
        for variant in variants.values { variant.sweep() }
    }

    // MARK: For the drivers

    @discardableResult
    func perform(_ request: OutgoingRequest, completion: @escaping (MCPCallOutcome) -> Void) -> MCPCallHandle {
        let driver = CallDriver(request, caller: self, completion: completion)
        driver.start()
        return MCPCallHandle(driver: driver)
    }

    func acquire(_ credentials: ForwardedCredentials, waiter: () -> PoolWaiter) -> PoolAcquisition {
        let (acquisition, evicted) = upstream.acquire(credentials, waiter: waiter, now: .now())
        end(evicted)
        return acquisition
    }

    /// Gets a connection, now or when the handshake is over for which every call of the partition waits.
    /// - Parameter completion: Called exactly once, perhaps before this method returns; the receiver of a connection
    ///   must release it.
    func connect(
        _ credentials: ForwardedCredentials,
        completion: @escaping (Result<UpstreamConnection, MCPCallError>) -> Void
    ) {
        let bound = NIOLoopBound((caller: self, completion: completion), eventLoop: eventLoop)
        let acquisition = acquire(credentials) {
            PoolWaiter(eventLoop: eventLoop) { wake in
                switch wake {
                case .ready(let connection): bound.value.completion(.success(connection))
                case .handshake(let order): bound.value.caller.run(order)
                case .failed(let failure): bound.value.completion(.failure(failure.failure))
                }
            }
        }
        switch acquisition {
        case .ready(let connection): completion(.success(connection))
        case .handshake(let order): run(order)
        case .wait: break
        }
    }

    func run(_ order: HandshakeOrder) {
        HandshakeDriver(order, caller: self).start()
    }

    func end(_ sessions: [EvictedSession]) {
        for session in sessions {
            _ = transport.start(upstream.deletion(of: session), on: eventLoop, receiver: ignored)
        }
    }

    func notifyCancelled(
        _ number: Int64, over connection: UpstreamConnection, credentials: ForwardedCredentials
    ) {
        send(
            upstream.envelope.notification(
                method: MCPMethod.cancelled,
                params: ["requestId": .number(Int(number)), "reason": "The caller no longer waits for the answer"]),
            over: connection, credentials: credentials.credentials)
    }

    /// Accepts a question of the server, to be answered with ``reply(_:to:over:credentials:)``.
    /// - Returns: False when too many are open, on this stream or at this upstream: the stream must be ended.
    func accepts(questionOn stream: OpenQuestions) -> Bool {
        guard stream.count < OpenQuestions.streamLimit,
            upstream.openQuestions.load(ordering: .relaxed) < OpenQuestions.upstreamLimit
        else { return false }
        stream.count += 1
        upstream.openQuestions.add(1, ordering: .relaxed)
        return true
    }

    /// Forgets a question that was accepted and needs no answer any more.
    func forget(questionOn stream: OpenQuestions) {
        stream.count -= 1
        upstream.openQuestions.subtract(1, ordering: .relaxed)
    }

    /// Answers a question that was accepted.
    func reply(
        _ response: JSONRPCResponse, to stream: OpenQuestions, over connection: UpstreamConnection,
        credentials: [CurlHeader]
    ) {
        let body = ByteBuffer(bytes: response.json.serialized)
        send(body, over: connection, credentials: credentials, receiver: QuestionReceiver(stream, upstream))
    }

    /// Sends a message that has no answer.
    private func send(
        _ body: ByteBuffer, over connection: UpstreamConnection, credentials: [CurlHeader],
        receiver: (any CurlTransferReceiver)? = nil
    ) {
        var headers = connection.headers
        for header in credentials { headers.append(header) }
        let request = upstream.post(body, url: connection.url, headers: headers, timeout: .seconds(5))
        _ = transport.start(request, on: eventLoop, receiver: receiver ?? ignored)
    }

    private func renewCatalog(_ credentials: ForwardedCredentials) {
        refreshCatalog(credentials: credentials, deadline: .now() + .seconds(10)) { _ in
            // The loader has stored the new list, or set the time of the next attempt.
        }
    }
}

/// A call in progress.
package struct MCPCallHandle {
    let driver: CallDriver

    /// Cancels the call, on its event loop: its outcome is `.cancelled`, and the upstream is notified, by closing the
    /// stream (2026-07-28) or with `notifications/cancelled`. Does nothing once there is an outcome.
    package func cancel() { driver.cancel() }
}
