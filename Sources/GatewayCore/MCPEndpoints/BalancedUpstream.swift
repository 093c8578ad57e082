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

    /// Runs the body on a worker's event loop with that worker's load balancer of an upstream.
    func withBalancer(of upstream: Upstream, onWorker worker: Int, _ body: @escaping @Sendable (LoadBalancer) -> Void)

    /// Returns the engine of a worker's transfers.
    func engine(ofWorker worker: Int) async throws -> CurlEngine
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
        if let known = knownRevision(for: client) { return known }
        _ = try? await describe(.anonymous)
        return knownRevision(for: client) ?? .latestModern
    }

    func knownRevision(for client: MCPVersion) -> MCPVersion? {
        guard upstream.kind == .mcp else { return .latestModern }
        if let only = upstream.configuration.protocolVersion { return only }
        guard let (settled, supported) = spoken.withLock({ $0 }) else { return nil }
        if supported.contains(client) { return client }
        // A legacy server negotiates: it is asked for the client's own revision.
        return settled.era == .legacy && client.era == .legacy ? client : settled
    }

    func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        guard upstream.kind == .mcp else { return try await sendToTools(request) }
        let credentials = request.caller.credentials(name)
        let isCall = request.method == MCPMethod.toolsCall
        let isIdempotent = isCall ? upstream.configuration.isTrusted && request.isIdempotent : true
        let idle = TimeAmount(timeout)
        let version = await revision(for: request.version)
        let result = try await call(of: request.caller) { eventLoop in
            var outgoing = MCPRequest(
                method: request.method, params: request.params.isEmpty ? nil : request.params,
                credentials: credentials, version: version, capabilities: ClientCapabilities(request.features.json),
                deadline: .now() + Self.totalTimeout, idleTimeout: idle, traceparent: request.traceparent,
                inputSchema: request.inputSchema, isIdempotent: isIdempotent, onProgress: request.onProgress,
                onNotification: request.onNotification)
            outgoing.onQuestion = { question, reply in
                let reply = NIOLoopBound(reply, eventLoop: eventLoop)
                request.onQuestion(question) { answer in eventLoop.execute { reply.value(answer) } }
            }
            return .request(outgoing)
        }
        return Self.result(result)
    }

    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        guard let client = upstream.servers[upstream.firstReachable].client else {
            // Configured tools change only with the configuration.
            try await Task.sleep(for: .seconds(3600))
            return
        }
        let engine = try await workers.engine(ofWorker: 0)
        let eventLoop = workers.eventLoops[0]
        do {
            let listener = MCPClient(
                upstream: client, engine: engine, eventLoop: eventLoop,
                credentials: try await ownCredentials(engine, eventLoop),
                handlers: MCPClientHandlers(onNotification: onNotification), timeout: .seconds(10))
            try await listener.listen(to: filter, onOpen: onOpen)
        } catch let failure as MCPCallFailure {
            throw Self.error(UpstreamFailure(failure), rpcError: failure.rpcError)
        }
    }

    /// Returns the gateway's own credentials for the upstream, under which it subscribes to changes.
    private func ownCredentials(_ engine: CurlEngine, _ eventLoop: any EventLoop) async throws -> ForwardedCredentials {
        guard let credentials = upstream.credentials else { return .anonymous }
        return try await withCheckedThrowingContinuation { continuation in
            eventLoop.execute {
                credentials.obtain(bearer: nil, engine: engine, on: eventLoop) { result in
                    switch result {
                    case .success(let own): continuation.resume(returning: ForwardedCredentials.anonymous.with(own))
                    case .failure(let error):
                        continuation.resume(
                            throwing: EndpointFailure(
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
            let arguments = (request.params["arguments"] ?? [:]).serialized
            let tool = request.params["name"]?.string ?? ""
            let credentials = request.caller.credentials(name)
            let deadline = TimeAmount(timeout)
            return Self.result(
                try await call(of: request.caller) { _ in
                    .tool(
                        MCPToolCall(
                            tool: tool, arguments: ByteBuffer(bytes: arguments), credentials: credentials,
                            deadline: .now() + deadline, traceparent: request.traceparent))
                })
        default: throw JSONRPCError.methodNotFound(request.method)
        }
    }

    private static func result(_ result: MCPCallResult) -> UpstreamResult {
        let value = result.message.withUnsafeReadableBytes { JSONValue(result.result, in: $0) }
        return UpstreamResult(value.object ?? [:], era: result.era)
    }

    // MARK: Sending

    /// Makes a call on a worker and waits for its outcome. Cancelling the task cancels the call.
    private func call(
        of caller: EndpointCaller, _ make: @escaping @Sendable (any EventLoop) -> UpstreamCall
    ) async throws -> MCPCallResult {
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        let worker = Int(turn % UInt(workers.eventLoops.count))
        let eventLoop = workers.eventLoops[worker]
        let flight = NIOLoopBoundBox.makeEmptyBox(valueType: Flight.self, eventLoop: eventLoop)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MCPCallResult, any Error>) in
                workers.withBalancer(of: upstream, onWorker: worker) { balancer in
                    // The task can be cancelled before the closure runs, so that the cancellation may have come first.
                    if flight.value?.isCancelled == true {
                        return continuation.resume(throwing: CancellationError())
                    }
                    let call = make(eventLoop)
                    let receiver = ContinuedCall(continuation)
                    let running = balancer.call(call, of: GivenCaller(caller), for: receiver)
                    flight.value = Flight(running: running)
                }
            }
        } onCancel: {
            eventLoop.execute {
                if let flown = flight.value {
                    flown.running?.cancel()
                } else {
                    flight.value = Flight(isCancelled: true)
                }
            }
        }
    }

    /// Returns the endpoint's error for a failed call: the server's own JSON-RPC error, or a failure with its label.
    fileprivate static func error(_ failure: UpstreamFailure, rpcError: JSONRPCError?) -> any Error {
        if failure.isCancelled { return CancellationError() }
        if let rpcError { return rpcError }
        return EndpointFailure(
            label: failure.error.label.rawValue, executed: failure.error.executed.rawValue,
            detail: failure.error.detail ?? failure.error.message)
    }

    /// Resumes a task with the outcome of a call.
    private final class ContinuedCall: CallReceiver {
        private let continuation: CheckedContinuation<MCPCallResult, any Error>

        init(_ continuation: CheckedContinuation<MCPCallResult, any Error>) {
            self.continuation = continuation
        }

        func callAccepted() {}

        func callEnded(_ outcome: UpstreamOutcome) {
            switch outcome {
            case .result(let result): continuation.resume(returning: result)
            case .response:
                continuation.resume(
                    throwing: EndpointFailure(label: "internal", executed: "yes", detail: "a response to a payload"))
            case .failure(let failure):
                continuation.resume(throwing: BalancedUpstream.error(failure, rpcError: failure.rpcError))
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
