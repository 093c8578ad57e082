import HTTPServer
import Logging
import MCPServer
import NIOCore
import NIOPosix
import Observability
import ServiceLifecycle
import UnixSignals

extension ToolServer {
    /// Serves until SIGTERM or SIGINT (or, over stdio, the end of input), then drains and releases everything.
    ///
    /// - Throws: `HTTPListenError` when a port cannot be had; then nothing was started.
    package func run() async throws {
        // Trapped before anything listens: whoever sees "listening" may send a signal at once.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let group = MultiThreadedEventLoopGroup.singleton
        var services: [any Service] = [ResourceService(toolServer: self), SignalService(signals: signals)]
        do {
            if configuration.transport == .http {
                let service = httpService(group: group)
                try await service.http.start()
                services.append(service)
            }
            if let admin = configuration.admin {
                let service = try adminService(address: admin, group: group)
                do {
                    try await service.http.start()
                } catch {
                    for case let started as HTTPService in services { await started.http.drain(within: .zero) }
                    throw error
                }
                services.append(service)
            }
        } catch {
            await shutdown()
            throw error
        }
        metrics.registry.addProcessMetrics()
        if configuration.transport == .stdio {
            services.append(StdioService(server: server))
        }
        let configuration = ServiceGroupConfiguration(
            // A signal, or over stdio the end of input, ends its service, and that ends the others in order.
            services: services.map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
            },
            logger: Self.quiet(logger))
        try await ServiceGroup(configuration: configuration).run()
    }

    /// The main port, not started.
    func httpService(group: any EventLoopGroup) -> HTTPService {
        var http = HTTPServerConfiguration(addresses: [.hostPort(configuration.host, configuration.port)])
        http.maximumConnections = configuration.limits.maxConnections
        http.headerTimeout = configuration.limits.headerTimeout
        http.bodyTimeout = configuration.limits.bodyTimeout
        http.idleTimeout = configuration.limits.idleTimeout

        let dialect = CommandDialect(server: server, logger: logger)
        let streamable = StreamableHTTP(
            server: server,
            configuration: StreamableHTTPConfiguration(
                origins: OriginPolicy(
                    allowedOrigins: Set(configuration.allowedOrigins),
                    allowedHosts: configuration.allowedHosts.isEmpty ? nil : Set(configuration.allowedHosts)),
                sessionLimit: configuration.limits.maxSessions, sessionIdle: configuration.limits.sessionIdle))
        let logger = logger
        let inFlight = RequestsInFlight()
        let routes = ToolServerRoutes(
            streamable: streamable, identity: identity, dialect: dialect,
            login: configuration.identity.contains(.builtin) ? LoginRoutes(login: login, logger: logger) : nil,

            crossOrigin: CrossOriginGuard(allowedOrigins: configuration.allowedOrigins), inFlight: inFlight,
            logger: logger)
        let metrics = metrics
        let bodyLimit = configuration.limits.maxBody
        let server = HTTPServer(configuration: http, group: group, logger: logger) { _ in
            ObservedRequestHandler(bodyLimit: bodyLimit, metrics: metrics, logger: logger) {
                await routes.respond($0, $1, requestID: $2)
            }
        }
        metrics.registry.sampled("tool_server_mcp_sessions", help: "Legacy MCP sessions alive.") {
            [MetricSample(Double(streamable.sessionCount))]
        }
        metrics.registry.sampled("tool_server_connections", help: "Connections to the main port.") {
            [MetricSample(Double(server.statistics.connections))]
        }
        return HTTPService(
            http: server, limit: configuration.drain,
            beforeDrain: {
                await inFlight.finished(within: $0)
                streamable.shutdown()
            })
    }

    /// The admin port, not started.
    func adminService(address: String, group: any EventLoopGroup) throws -> HTTPService {
        let configuration = HTTPServerConfiguration(
            addresses: [try HTTPListenAddress(parsing: address)], name: "admin")
        let routes = AdminRoutes(store: store, foreign: foreign, metrics: metrics, logger: logger)
        let server = HTTPServer(configuration: configuration, group: group, logger: logger) { _ in
            AsyncHTTPHandler(bodyLimit: 64 * 1024) { await routes.respond($0, $1) }
        }
        return HTTPService(http: server, limit: .seconds(1))
    }

    /// The group's own narration is for debugging.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}

/// Runs until a signal asks the process to stop.
struct SignalService: Service {
    let signals: UnixSignalsSequence

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in signals { return }
        }
    }
}

/// The store, the threads and the connections: first in the group, so released last.
struct ResourceService: Service {
    let toolServer: ToolServer

    func run() async throws {
        try? await gracefulShutdown()
        await toolServer.shutdown()
    }
}

/// A listening server that drains when the group shuts down.
struct HTTPService: Service {
    let http: HTTPServer
    let limit: Duration
    var beforeDrain: (@Sendable (Duration) async -> Void)?

    func run() async throws {
        try? await gracefulShutdown()
        await drain()
    }

    /// Stops accepting at once; what listens for events is ended when the requests in flight have been answered.
    func drain() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await http.drain(within: limit) }
            if let beforeDrain { group.addTask { await beforeDrain(limit) } }
        }
    }
}

/// MCP over standard input and output.
struct StdioService: Service {
    let server: MCPServer

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await StdioTransport(server: server).run()
        }
    }
}
