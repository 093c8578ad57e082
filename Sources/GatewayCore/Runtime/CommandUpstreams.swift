import CurlTransport
import Logging
import MCPAggregator
import MCPClient
import NIOCore
import NIOPosix

/// The upstreams of a configuration as a command reaches them, without a gateway: on one event loop, each with its load
/// balancer. They are ended with ``close()``.
final class CommandUpstreams: UpstreamWorkers {
    /// In the order of the configuration.
    let all: [Upstream]
    let engine: CurlEngine
    let eventLoop: any EventLoop
    private let balancers: NIOLoopBoundBox<[LoadBalancer]>
    let logger: Logger

    /// Longest wait for one list of an upstream.
    static let patience = Duration.seconds(10)

    /// - Parameter command: Name of the command, for the engine's thread.
    init(_ configuration: GatewayConfiguration, for command: String) {
        var logger = Logger(label: "gateway.\(command)")
        logger.logLevel = .critical
        self.logger = logger
        all = configuration.upstreams.map { [logger] upstream in
            Upstream(
                upstream, responseLimit: configuration.limits.upstreamResponse, forward: configuration.forward,
                logger: logger)
        }
        for upstream in all { _ = upstream.pin(configuration.lock) }
        engine = CurlEngine(label: command, logger: logger)
        eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        balancers = NIOLoopBoundBox.makeBoxSendingValue([], eventLoop: eventLoop)
    }

    /// Makes the router of an endpoint over the upstreams.
    func router(_ endpoint: MCPEndpointConfiguration) -> EndpointRouter {
        EndpointRouter(endpoint, upstreams: all, workers: self, patience: Self.patience, logger: logger)
    }

    var eventLoops: [any EventLoop] { [eventLoop] }

    func withBalancer(of upstream: Upstream, onWorker worker: Int, _ body: @escaping @Sendable (LoadBalancer) -> Void) {
        eventLoop.execute { [self] in
            if let known = balancers.value.first(where: { $0.upstream === upstream }) { return body(known) }
            let endpoints = upstream.servers.indices.map {
                upstream.makeEndpoint(server: $0, engine: engine, eventLoop: eventLoop)
            }
            let made = LoadBalancer(upstream, endpoints: endpoints, eventLoop: eventLoop, workers: 1, engine: engine)
            balancers.value.append(made)
            body(made)
        }
    }

    func engine(ofWorker worker: Int) async throws -> CurlEngine { engine }

    /// Asks the first server of an upstream for its tools.
    func tools(of upstream: Upstream) async -> Result<ToolCatalog, UpstreamError> {
        await withCheckedContinuation { continuation in
            eventLoop.execute { [engine, eventLoop] in
                let endpoint = upstream.makeEndpoint(server: 0, engine: engine, eventLoop: eventLoop)
                upstream.check(endpoint, engine: engine, eventLoop: eventLoop, deadline: .now() + .seconds(5)) {
                    continuation.resume(returning: $0)
                }
            }
        }
    }

    /// Ends all sessions, the servers that were started, and the engine.
    func close() async {
        await withTaskGroup(of: Void.self) { group in
            for upstream in all {
                group.addTask { [engine] in await upstream.close(engine, within: .milliseconds(500)) }
            }
        }
        await engine.shutdown()
    }
}
