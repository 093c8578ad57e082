import CurlTransport
import JSON
import Logging
import MCP
import MCPAggregator
import MCPClient
import MCPServer
import NIOCore
import Synchronization

/// The workers of the process, as MCP endpoints use them.
protocol UpstreamWorkers: Sendable {
    /// Event loops of the workers, at least one.
    var eventLoops: [any EventLoop] { get }

    /// Worker on whose event loop this is called; nil elsewhere.
    var currentWorker: Int? { get }

    /// Runs the body on a worker's event loop, at once where it is called there, with that worker's load balancer of an upstream.
    func withBalancer(of upstream: Upstream, onWorker worker: Int, _ body: @escaping @Sendable (LoadBalancer) -> Void)

    /// Returns the engine of a worker's transfers.
    func engine(ofWorker worker: Int) async throws -> CurlEngine
}

extension UpstreamWorkers {
    var currentWorker: Int? { nil }
}

/// An upstream of the gateway as a member of an MCP endpoint. Its requests go through the load balancer of one of the
/// workers, so that bounds, breaker, failover, credentials and metrics apply as to every call.
final class BalancedUpstream: EndpointUpstream {
    /// State of one request on a worker's event loop.
    private struct Flight {
        var running: (any RunningCall)?
        var isCancelled = false
    }

    let name: String
    private let upstream: Upstream
    private let workers: any UpstreamWorkers
    private let timeout: Duration
    private let turn = Atomic<UInt>(0)
    /// Revisions that the server has declared; nil until its first answer.
    private let spoken = Mutex<(settled: MCPVersion, supported: [MCPVersion])?>(nil)

    /// Time limit of a request, even if its upstream keeps reporting progress.
    private static let totalTimeout = TimeAmount.hours(1)
    /// Time limit of a handshake.
    private static let connectTimeout = TimeAmount.seconds(10)

    /// - Parameter timeout: Longest silence of the upstream during a request.
    init(_ upstream: Upstream, workers: any UpstreamWorkers, timeout: Duration) {
        name = upstream.name
        self.upstream = upstream
        self.workers = workers
        self.timeout = timeout
    }

    func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription {
        guard upstream.kind == .mcp else {
            return UpstreamDescription(
                version: .latestModern, capabilities: ServerCapabilities(tools: .init(listChanged: false)))
        }
        let credentials = caller.credentials(name)
        let result = try await call(of: caller) { _ in .describe(credentials, deadline: .now() + Self.connectTimeout) }
        let description = result.message.withUnsafeReadableBytes { JSONValue(result.result, in: $0) }
        let negotiated = description["protocolVersion"]?.string.flatMap(MCPVersion.init(rawValue:)) ?? .latestLegacy
        let version = result.era == .modern ? .latestModern : negotiated
        let supported = description["supportedVersions"]?.array ?? []
        spoken.withLock { spoken in
            spoken = (version, supported.compactMap { $0.string.flatMap(MCPVersion.init(rawValue:)) })
        }
        return UpstreamDescription(
            version: version,
            capabilities: (try? ServerCapabilities(json: description["capabilities"] ?? [:])) ?? ServerCapabilities(),
            instructions: description["instructions"]?.string)
    }

    func revision(for client: MCPVersion) async -> MCPVersion {
        if let stdio = upstream.stdio { return await stdio.revision(for: client) }
        if let known = knownRevision(for: client) { return known }
        _ = try? await describe(.anonymous)
        return knownRevision(for: client) ?? .latestModern
    }

    func knownRevision(for client: MCPVersion) -> MCPVersion? {
        if let stdio = upstream.stdio { return stdio.knownRevision(for: client) }
        guard upstream.kind == .mcp else { return .latestModern }
        if let only = upstream.configuration.protocolVersion { return only }
        guard let (settled, supported) = spoken.withLock({ $0 }) else { return nil }
        if supported.contains(client) { return client }
        // A legacy server negotiates: it is asked for the client's own revision.
        return settled.era == .legacy && client.era == .legacy ? client : settled
    }

    func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        guard upstream.kind == .mcp else { return try await sendToTools(request) }
        let call = outgoing(request, version: await revision(for: request.version))
        return try await Self.read(try await self.call(of: request.caller, call))
    }

    func start(
        _ request: UpstreamRequest, on executor: (any TaskExecutor)?, onEnd: @escaping UpstreamRequest.Ending
    ) -> @Sendable () -> Void {
        let call: (@Sendable (any EventLoop) -> UpstreamCall)?
        if upstream.kind == .mcp {
            call = knownRevision(for: request.version).map { outgoing(request, version: $0) }
        } else {
            call = request.method == MCPMethod.toolsCall ? toolCall(request) : nil
        }
        guard let call else { return startTask(request, on: executor, onEnd: onEnd) }
        return begin(of: request.caller, call) { outcome in
            switch outcome {
            case .success(let result) where result.message.readableBytes >= ParsingQueue.longAnswer:
                Task { onEnd(.success(try await Self.read(result))) }
            default: onEnd(outcome.map { Self.result($0) })
            }
        }
    }

    /// Returns a closure that makes the request to the server, on a worker's event loop.
    private func outgoing(
        _ request: UpstreamRequest, version: MCPVersion
    ) -> @Sendable (any EventLoop) -> UpstreamCall {
        let credentials = request.caller.credentials(name)
        let isCall = request.method == MCPMethod.toolsCall
        let isIdempotent = isCall ? upstream.configuration.isTrusted && request.isIdempotent : true
        let idle = TimeAmount(timeout)
        return { eventLoop in
            var outgoing = MCPRequest(
                method: request.method, params: request.params.isEmpty ? nil : request.params,
                arguments: request.arguments, credentials: credentials, version: version,
                capabilities: ClientCapabilities(request.features.json), deadline: .now() + Self.totalTimeout,
                idleTimeout: idle, traceparent: request.traceparent, inputSchema: request.inputSchema,
                isIdempotent: isIdempotent, onProgress: request.onProgress, onNotification: request.onNotification)
            outgoing.onQuestion = { question, reply in
                let reply = NIOLoopBound(reply, eventLoop: eventLoop)
                request.onQuestion(question) { answer in eventLoop.execute { reply.value(answer) } }
            }
            return .request(outgoing)
        }
    }

    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        if let stdio = upstream.stdio {
            return try await stdio.listen(to: filter, onOpen: onOpen, onNotification: onNotification)
        }
        guard let client = upstream.servers[upstream.firstReachable].client else {
            // Configured tools change only with the configuration.
            try await Task.sleep(for: .seconds(3600))
            return
        }
        let engine = try await workers.engine(ofWorker: 0)
        let eventLoop = workers.eventLoops[0]
        let own = try await ownCredentials(engine, eventLoop)
        do {
            let listener = MCPClient(
                upstream: client, engine: engine, eventLoop: eventLoop,
                credentials: own.map { ForwardedCredentials.anonymous.with($0) } ?? .anonymous,
                handlers: MCPClientHandlers(onNotification: onNotification), timeout: .seconds(10))
            try await listener.listen(to: filter, onOpen: onOpen)
        } catch let failure as MCPCallError {
            let failed = UpstreamError(failure)
            // The next attempt uses new credentials.
            if let own { upstream.credentials?.note(failed.error, of: own) }
            throw Self.error(failed, rpcError: failure.rpcError)
        }
    }

    /// Returns the gateway's own credentials for the upstream, under which it subscribes to changes; nil where it has
    /// none.
    private func ownCredentials(
        _ engine: CurlEngine, _ eventLoop: any EventLoop
    ) async throws -> UpstreamCredentials.Own? {
        guard let credentials = upstream.credentials else { return nil }
        return try await withCheckedThrowingContinuation { continuation in
            eventLoop.execute {
                credentials.obtain(bearer: nil, engine: engine, on: eventLoop) { result in
                    switch result {
                    case .success(let own): continuation.resume(returning: own)
                    case .failure(let error):
                        continuation.resume(
                            throwing: EndpointError(
                                label: error.label.rawValue, executed: "no", detail: error.detail ?? error.message))
                    }
                }
            }
        }
    }

    // MARK: Tools of kinds that do not speak MCP

    private func sendToTools(_ request: UpstreamRequest) async throws -> UpstreamResult {
        switch request.method {
        case MCPMethod.toolsList:
            let tools = upstream.catalog?.entries.map { $0.definition.json(for: .latestModern) } ?? []
            return UpstreamResult(["tools": .array(tools)], era: .modern)
        case MCPMethod.toolsCall:
            return try await Self.read(try await call(of: request.caller, toolCall(request)))
        default: throw JSONRPCError.methodNotFound(request.method)
        }
    }

    /// Returns a closure that makes the call of a configured tool.
    private func toolCall(_ request: UpstreamRequest) -> @Sendable (any EventLoop) -> UpstreamCall {
        let arguments = request.arguments?.bytes ?? (request.params["arguments"] ?? [:]).serialized
        let tool = request.params["name"]?.string ?? ""
        let credentials = request.caller.credentials(name)
        let deadline = TimeAmount(timeout)
        return { _ in
            .tool(
                MCPToolCall(
                    tool: tool, arguments: ByteBuffer(bytes: arguments), credentials: credentials,
                    deadline: .now() + deadline, traceparent: request.traceparent))
        }
    }

    /// Returns a result as its text; that of a long one is cut without a thread of the concurrency pool.
    private static func read(_ result: MCPCallResult) async throws -> UpstreamResult {
        guard result.message.readableBytes >= ParsingQueue.longAnswer else { return Self.result(result) }
        return try await ParsingQueue.answers.run { Self.result(result) }
    }

    /// Returns a result as its text, with the memory that it has drawn.
    private static func result(_ result: MCPCallResult) -> UpstreamResult {
        let text = result.message.withUnsafeReadableBytes { JSONObjectText(result.result, in: $0) }
        return UpstreamResult(text, era: result.era, reservation: result.reservation)
    }

    // MARK: Sending

    private typealias Ending = @Sendable (Result<MCPCallResult, any Error>) -> Void

    /// Makes a call on a worker and waits for its outcome. Cancelling the task cancels the call.
    private func call(
        of caller: EndpointCaller, _ make: @escaping @Sendable (any EventLoop) -> UpstreamCall
    ) async throws -> MCPCallResult {
        let cancellation = Mutex<(cancel: (@Sendable () -> Void)?, isCancelled: Bool)>((nil, false))
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MCPCallResult, any Error>) in
                let cancel = begin(of: caller, make) { continuation.resume(with: $0) }
                // The task can be cancelled before there is anything to cancel.
                let isCancelled = cancellation.withLock { state in
                    state.cancel = cancel
                    return state.isCancelled
                }
                if isCancelled { cancel() }
            }
        } onCancel: {
            let cancel = cancellation.withLock { state in
                state.isCancelled = true
                return state.cancel
            }
            cancel?()
        }
    }

    /// Makes a call on a worker: at once on the worker on whose event loop this is called.
    ///
    /// - Returns: Closure that cancels the call.
    private func begin(
        of caller: EndpointCaller, _ make: @escaping @Sendable (any EventLoop) -> UpstreamCall,
        onEnd: @escaping Ending
    ) -> @Sendable () -> Void {
        let worker = workers.currentWorker ?? nextWorker
        let eventLoop = workers.eventLoops[worker]
        let flight = NIOLoopBoundBox.makeEmptyBox(valueType: Flight.self, eventLoop: eventLoop)
        workers.withBalancer(of: upstream, onWorker: worker) { balancer in
            // The cancellation may have come before the closure runs.
            if flight.value?.isCancelled == true { return onEnd(.failure(CancellationError())) }
            let running = balancer.call(make(eventLoop), of: GivenCaller(caller), for: EndingCall(onEnd))
            flight.value = Flight(running: running)
        }
        return {
            eventLoop.execute {
                if let flown = flight.value {
                    flown.running?.cancel()
                } else {
                    flight.value = Flight(isCancelled: true)
                }
            }
        }
    }

    /// Worker for a request that comes from none of them: each in turn.
    private var nextWorker: Int {
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return Int(turn % UInt(workers.eventLoops.count))
    }

    /// Returns the endpoint's error for a failed call: the server's own JSON-RPC error, or a failure with its label.
    fileprivate static func error(_ failure: UpstreamError, rpcError: JSONRPCError?) -> any Error {
        if failure.isCancelled { return CancellationError() }
        if let rpcError { return rpcError }
        return EndpointError(
            label: failure.error.label.rawValue, executed: failure.error.executed.rawValue,
            detail: failure.error.detail ?? failure.error.message)
    }

    /// Passes on the outcome of a call.
    private final class EndingCall: CallReceiver {
        private let onEnd: Ending

        init(_ onEnd: @escaping Ending) {
            self.onEnd = onEnd
        }

        func callAccepted() {}

        func callEnded(_ outcome: UpstreamOutcome) {
            switch outcome {
            case .result(let result): onEnd(.success(result))
            case .response:
                onEnd(.failure(EndpointError(label: "internal", executed: "yes", detail: "a response to a payload")))
            case .failure(let failure):
                onEnd(.failure(BalancedUpstream.error(failure, rpcError: failure.rpcError)))
            }
        }
    }

    /// The caller of a request to an endpoint, whose credentials were selected on its own worker.
    private final class GivenCaller: Caller {
        private let caller: EndpointCaller

        init(_ caller: EndpointCaller) {
            self.caller = caller
        }

        func credentials(for upstream: Upstream) -> ForwardedCredentials { caller.credentials(upstream.name) }
    }
}
