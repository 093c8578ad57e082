import Foundation
import HTTPServer
import HTTPSyntax
import Identity
import JSONConfiguration
import Logging
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOPosix
import Observability
import PostgreSQLStore
import ServiceLifecycle
import ServiceRuntime
import Store
import Synchronization
import UnixSignals

extension ToolServer {
    /// Serves until SIGTERM or SIGINT (or, over stdio, the end of input), then drains and releases everything. A second
    /// one of these signals ends the process at once; SIGHUP reloads.
    ///
    /// - Throws: `HTTPListenError` when a port cannot be bound; then nothing was started.
    package func run(_ process: ToolServerProcess = ToolServerProcess()) async throws {
        // Installed before anything listens: a client that sees "listening" may send a signal at once.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let group = MultiThreadedEventLoopGroup.singleton
        let state = ProcessState()
        var services: [any Service] = [ResourceService(toolServer: self)]
        var principal: Principal?
        do {
            try await readVerificationKeys()
            if configuration.transport == .stdio { principal = try await stdioPrincipal() }
            // The last service in the list stops first: the admin port reports the drain until the drain is over.
            if configuration.admin != nil || !process.sockets.admin.isEmpty {
                let service = try adminService(process, state: state, group: group)
                try await service.http.start()
                services.append(service)
            }
            if configuration.transport == .http {
                // Databases, AI providers, admin clients, files and pipes need descriptors too.
                let connections = DescriptorLimit.raise(
                    connections: configuration.limits.maxConnections, others: 1024,
                    key: "toolServer.limits.maxConnections", logger: logger)
                let service = httpService(
                    group: group, sockets: process.sockets.main, connections: connections, log: process.log)
                do {
                    try await service.http.start()
                } catch {
                    for case let started as HTTPService in services { await started.http.drain(within: .zero) }
                    throw error
                }
                services.append(service)
                if configuration.sessionKeys.key != nil, store is any SessionEnds, let upkeep = service.upkeep {
                    services.append(
                        PeriodicService(name: "ended sessions", interval: .seconds(2), logger: logger, body: upkeep))
                }
            }
        } catch {
            await shutdown()
            throw error
        }
        if external != nil, configuration.indexRefresh > .zero {
            services.append(
                PeriodicService(name: "search indexes", interval: configuration.indexRefresh, logger: logger) {
                    try await refreshIndexes()
                })
        }
        if configuration.history.retention > .zero {
            let retention = HistoryRetention(messages: messages, age: configuration.history.retention)
            let logger = logger
            services.append(
                PeriodicService(name: "history", interval: configuration.history.sweep, logger: logger) {
                    let removed = try await retention.sweep(now: Date())
                    if removed > 0 { logger.info("old messages removed", metadata: ["messages": "\(removed)"]) }
                })
        }
        if configuration.sqlTools.contains(where: { $0.write != nil }) {
            services.append(
                PeriodicService(name: "results of writes", interval: .seconds(600), logger: logger) {
                    try await removeRecordedWrites(now: Date())
                })
        }
        services.append(
            PeriodicService(name: "use of tokens", interval: .seconds(3600), logger: logger) {
                // A month is kept, for questions about what was used.
                try await store.deleteTokenUsage(before: UsageDay(Date()).before(days: 31))
            })
        if let oauth {
            services.append(
                PeriodicService(name: "authorization server", interval: .seconds(600), logger: logger) {
                    try await oauth.sweep()
                })
        }
        metrics.registry.addProcessMetrics()
        metrics.registry.addMemoryMetrics(memory, prefix: "tool_server")
        metrics.registry.addBuildInfo("tool_server", process.build)
        metrics.registry.addLogMetrics(process.log, prefix: "tool_server")
        metrics.reloads.inForce()
        let loops = LoopWatch(group: group, lag: metrics.loopLag.with())
        loops.start()
        let (stop, stopping) = AsyncStream<Void>.makeStream()
        let watcher = Task { await watch(signals, process, stopping) }
        let watchdog = Watchdog(notifier: process.notifier, logger: logger) { loops.isAnswering(within: $0) }
        let watching = Task { await watchdog.run() }
        let exporting = Task { await tracer?.run() }
        let delay = configuration.drainDelay
        services.append(
            StopService(stop: stop) {
                process.notifier.send(.stopping)
                state.isDraining.store(true, ordering: .relaxed)
                if delay > .zero { try? await Task.sleep(for: delay) }
            })
        if configuration.transport == .stdio {
            services.append(StdioService(server: server, principal: principal))
        }
        process.notifier.send(.ready)
        let configuration = ServiceGroupConfiguration(
            // A signal, or over stdio the end of input, ends its service, and this stops the others in order.
            services: services.map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
            },
            logger: Self.quiet(logger))
        try await ServiceGroup(configuration: configuration).run()
        exporting.cancel()
        await exporting.value
        await tracer?.close(within: .seconds(2))
        watching.cancel()
        watcher.cancel()
        loops.stop()
    }

    private func watch(
        _ signals: UnixSignalsSequence, _ process: ToolServerProcess, _ stopping: AsyncStream<Void>.Continuation
    ) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                process.notifier.send(.reloading)
                reload(process)
                process.notifier.send(.ready)
            } else if isStopping {
                exit(EXIT_FAILURE)
            } else {
                isStopping = true
                stopping.yield()
            }
        }
    }

    /// Reads the verification keys. Keys in a file must exist from the start; an issuer that cannot be reached now may
    /// be later.
    private func readVerificationKeys() async throws {
        guard let verificationKeys else { return }
        do {
            try await verificationKeys.read()
        } catch {
            if case .file = configuration.jwt.keys {
                throw ConfigurationErrors([
                    .init(path: "toolServer.jwt.jwksFile", expected: "a JSON Web Key Set", found: "\(error)")
                ])
            }
            logger.warning("verification keys could not be read", metadata: ["error": "\(error)"])
        }
    }

    /// Returns the caller of the stdio transport, whose requests carry no credentials.
    private func stdioPrincipal() async throws -> Principal? {
        guard let key = configuration.access.stdioKey else {
            guard !configuration.access.requiresAuthentication else {
                throw ConfigurationErrors([
                    .init(
                        path: "toolServer.stdioKey", expected: "an API key, as requireAuthentication is set",
                        found: "nothing")
                ])
            }
            return nil
        }
        let credentials = PresentedCredentials(cookieHeaders: [], authorization: "Bearer \(key.value)")
        switch try await identity.identify(credentials) {
        case .principal(let principal): return principal
        case .rejected(_, let reason):
            throw ConfigurationErrors([
                .init(path: "toolServer.stdioKey", expected: "an API key that is valid", found: reason)
            ])
        case .none: return nil
        }
    }

    /// Creates the main port without starting it.
    ///
    /// - Parameters:
    ///   - sockets: Inherited sockets, used instead of the configured address; empty: there are none.
    ///   - connections: Largest number of connections, in place of the configured one where the descriptor limit is
    ///     lower.
    ///   - log: Destination of the access log; nil: there is none.
    func httpService(
        group: any EventLoopGroup, sockets: [HTTPListenAddress] = [], connections: Int? = nil, log: LogOutput? = nil
    ) -> HTTPService {
        var http = HTTPServerConfiguration(
            addresses: sockets.isEmpty ? [.hostPort(configuration.host, configuration.port)] : sockets)
        http.drainIdleGrace = configuration.drainIdleGrace
        // Requests are calls of tools, with few headers and small arguments.
        http.receiveBuffer = 2048
        http.maximumConnections = connections ?? configuration.limits.maxConnections
        http.apply(configuration.limits.clients)
        http.memory = memory

        let listeners = http.addresses.map(\.scope)
        configuration.site.warn(of: listeners, named: http.name, key: "toolServer.allowedHosts", logger)
        let site = configuration.site.rule(for: listeners, ambientFields: ambientHeaders)
        let challenge = configuration.challenge
        let dialect = CommandDialect(server: server) { challenge.header(for: $0) }
        let transport = StreamableHTTPConfiguration(
            sessionLimit: configuration.limits.maxSessions,
            anonymousSessionLimit: configuration.limits.maxAnonymousSessions,
            ownerSessionLimit: configuration.limits.maxSessionsPerUser,
            sessionIdle: configuration.limits.sessionIdle,
            identifiers: configuration.sessionKeys.identifiers(
                ends: (store as? any SessionEnds) ?? ProcessSessionEnds()),
            challenge: { challenge.header(for: $0) })
        let streamable = StreamableHTTP(server: server, configuration: transport)
        let logger = logger
        let inFlight = RequestsInFlight()
        let routes = ToolServerRoutes(
            streamable: streamable, identity: identity, dialect: dialect,
            login: configuration.identity.contains(.builtin)
                ? LoginRoutes(
                    login: login, addresses: ClientAddressRule(trusted: configuration.site.trustedProxies),
                    metrics: metrics,
                    logger: logger) : nil,
            metadata: metadata, oauth: oauth, challenge: challenge,
            requiresAuthentication: configuration.access.requiresAuthentication, inFlight: inFlight,
            metrics: metrics, logger: logger)
        let metrics = metrics
        let bodyLimit = configuration.limits.maxBody
        let accessLogs = AccessLogs(log, group)
        let server = HTTPServer(configuration: http, group: group, logger: logger) { eventLoop in
            ObservedRequestHandler(
                bodyLimit: bodyLimit, site: site, metrics: metrics, accessLog: accessLogs.log(of: eventLoop)
            ) {
                await routes.respond($0, $1, requestID: $2)
            }
        }
        metrics.registry.sampled("tool_server_mcp_sessions", help: "Legacy MCP sessions alive.") {
            [MetricSample(Double(streamable.sessionCount))]
        }
        metrics.registry.sampled("tool_server_connections", help: "Connections to the main port.") {
            [MetricSample(Double(server.statistics.connections))]
        }
        metrics.registry.sampled("tool_server_requests_in_flight", help: "Requests begun and not finished.") {
            [MetricSample(Double(server.statistics.activeRequests))]
        }
        metrics.registry.add([store as? any PooledDatabase, external as? any PooledDatabase].compactMap(\.self))
        return HTTPService(
            http: server, limit: configuration.drain,
            beforeDrain: {
                await inFlight.finished(within: $0)
                streamable.shutdown()
            }, upkeep: { try await streamable.dropSessionsEndedElsewhere() })
    }

    /// Creates the admin port without starting it.
    func adminService(
        _ process: ToolServerProcess = ToolServerProcess(), state: ProcessState = ProcessState(),
        group: any EventLoopGroup
    ) throws -> HTTPService {
        let addresses = try configuration.admin.map { [try HTTPListenAddress(parsing: $0)] } ?? []
        let http = HTTPServerConfiguration(
            addresses: process.sockets.admin.isEmpty ? addresses : process.sockets.admin, name: "admin")
        let listeners = http.addresses.map(\.scope)
        configuration.site.warn(of: listeners, named: http.name, key: "toolServer.allowedHosts", logger)
        let site = configuration.site.adminRule(for: listeners)
        let readiness = Readiness(store: store, external: external, state: state, logger: logger)
        let endpoints = AdminEndpoints(
            name: Self.implementation.name, build: process.build, metrics: metrics.registry, memory: memory,
            logLevel: AdminLogLevel(process.log, logger: logger), site: { site },
            readiness: { await readiness.document() })
        let server = HTTPServer(configuration: http, group: group, logger: logger) { _ in endpoints.handler() }
        return HTTPService(http: server, limit: .seconds(1))
    }

    /// Returns a logger for the service group, whose messages are useful only for debugging.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}

/// State of the process, for its readiness.
final class ProcessState: Sendable {
    let isDraining = Atomic<Bool>(false)
}

/// Service that waits for a request to stop the process; before the other services are stopped, it runs a preparation.
struct StopService: Service {
    let stop: AsyncStream<Void>
    let beforeStopping: @Sendable () async -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in stop { break }
        }
        await beforeStopping()
    }
}

/// Service that owns the store, the threads and the connections: first in the group, so released last.
struct ResourceService: Service {
    let toolServer: ToolServer

    func run() async throws {
        try? await gracefulShutdown()
        await toolServer.shutdown()
    }
}

/// Service of a listening server that drains when the group shuts down.
struct HTTPService: Service {
    let http: HTTPServer
    let limit: Duration
    var beforeDrain: (@Sendable (Duration) async -> Void)?
    /// Action that is repeated while the server listens.
    var upkeep: (@Sendable () async throws -> Void)?

    func run() async throws {
        try? await gracefulShutdown()
        await drain()
    }

    /// Stops accepting at once; event streams are ended when the requests in flight have been answered.
    func drain() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await http.drain(within: limit) }
            if let beforeDrain { group.addTask { await beforeDrain(limit) } }
        }
    }
}

/// Service of MCP over standard input and output.
struct StdioService: Service {
    let server: MCPServer
    let principal: Principal?

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await StdioTransport(server: server, principal: principal).run()
        }
    }
}
