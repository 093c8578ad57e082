import CurlTransport
import HTTPServer
import Logging
package import NIOCore
import NIOPosix
import Observability
import ProcessMemory
import ServiceRuntime
import Synchronization

/// Builds a gateway from its parts; starts nothing but its threads.
/// - Throws: the error of an upstream's TLS files, or of a listener's address.
package func buildGateway(
    _ configuration: GatewayConfiguration, dependencies: GatewayDependencies
) async throws -> Gateway {
    let logger = dependencies.logger("gateway")
    let metrics = GatewayMetrics(dependencies.metrics)
    let status = GatewayStatus()
    let memory = MemoryBudget(limit: configuration.limits.memory ?? AvailableMemory.standardBudget())
    let snapshot = GatewaySnapshot(
        configuration, version: 1, listeners: GatewayListeners(configuration, dependencies.sockets), memory: memory,
        previous: nil, metrics: metrics, logger: dependencies.logger("gateway.mcp"), redact: dependencies.redact,
        now: dependencies.now)
    let tracer = configuration.tracing.map {
        SpanExporter(
            $0, name: GatewayVersion.name, prefix: "gateway", build: dependencies.build, metrics: dependencies.metrics,
            logger: logger)
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.workers)
    var engines: [CurlEngine] = []
    var workers: [(eventLoop: any EventLoop, handler: NIOLoopBound<GatewayHandler>)] = []
    for (index, eventLoop) in group.makeIterator().enumerated() {
        let engine = CurlEngine(
            label: "curl-\(index)",
            configuration: CurlEngineConfiguration(
                maxConnectionsPerHost: configuration.limits.upstreamConnections, memory: memory),
            eventLoop: eventLoop, logger: dependencies.logger("gateway.curl"))
        engines.append(engine)
        let accessLog = dependencies.log.map { AccessLog(label: "gateway.access", output: $0) }
        let handler = try await eventLoop.submit {
            let worker = Worker(
                eventLoop: eventLoop, engine: engine, metrics: metrics, tracer: tracer, logger: logger,
                accessLog: accessLog)
            return NIOLoopBound(GatewayHandler(worker, snapshot), eventLoop: eventLoop)
        }.get()
        workers.append((eventLoop, handler))
    }
    return Gateway(
        snapshot: snapshot, dependencies: dependencies, memory: memory, group: group, engines: engines,
        workers: Workers(workers), metrics: metrics, status: status, tracer: tracer, logger: logger)
}

/// A gateway: two listeners, the workers behind them, and the checks of the upstreams.
package final class Gateway: Sendable {
    struct State {
        var snapshot: GatewaySnapshot
        var prober: Task<Void, Never>?
        /// Task that sends spans.
        var exporting: Task<Void, Never>?
        /// Task that takes samples for the status page.
        var sampling: Task<Void, Never>?
        var isDraining = false
    }

    /// State that the health checks report.
    package let status: GatewayStatus
    let dependencies: GatewayDependencies
    /// Budget of the process.
    let memory: MemoryBudget
    private let group: MultiThreadedEventLoopGroup
    let engines: [CurlEngine]
    let workers: Workers
    let metrics: GatewayMetrics
    let logger: Logger
    /// MCP endpoints in force.
    let endpoints = EndpointTable()
    private let history = StatusHistory()
    let main: HTTPServer
    private let admin: HTTPServer?
    private let adminSite: ReloadedSiteRule
    private let loops: LoopWatch
    private let tracer: SpanExporter?
    let state: Mutex<State>

    init(
        snapshot: GatewaySnapshot, dependencies: GatewayDependencies, memory: MemoryBudget,
        group: MultiThreadedEventLoopGroup, engines: [CurlEngine], workers: Workers, metrics: GatewayMetrics,
        status: GatewayStatus, tracer: SpanExporter?, logger: Logger
    ) {
        self.tracer = tracer
        self.dependencies = dependencies
        self.memory = memory
        self.group = group
        self.engines = engines
        self.workers = workers
        self.metrics = metrics
        self.status = status
        self.logger = logger
        state = Mutex(State(snapshot: snapshot))
        loops = LoopWatch(group: group, lag: metrics.loopLag.with())
        main = HTTPServer(
            configuration: Self.mainServer(snapshot, dependencies, memory), group: group, logger: logger
        ) { eventLoop in
            workers.handler(on: eventLoop)
        }
        let adminSite = ReloadedSiteRule(snapshot.adminSite)
        self.adminSite = adminSite
        if snapshot.listeners.admin.isEmpty {
            admin = nil
        } else {
            let site = AdminEndpoints(
                name: GatewayVersion.name, build: dependencies.build, metrics: metrics.registry, memory: memory,
                logLevel: AdminLogLevel(dependencies.log, logger: logger),
                site: { adminSite.current }, readiness: { status.readiness },
                further: { [history, endpoints] head in
                    history.answer(head) ?? Self.answer(head, endpoints.states) ?? PageFiles.statusPage(head)
                })
            var server = HTTPServerConfiguration(addresses: snapshot.listeners.admin, name: "admin")
            server.maximumConnections = 256
            admin = HTTPServer(configuration: server, group: group, logger: logger) { _ in site.handler() }
        }
        addMetrics()
    }

    /// The configuration in force.
    package var snapshot: GatewaySnapshot { state.withLock { $0.snapshot } }

    /// Number of client requests that have begun and not ended.
    package var requestsInFlight: Int { main.statistics.activeRequests }

    /// Returns whether every event loop has run within the given time, as far as another thread can tell.
    package func isAnswering(within limit: TimeAmount) -> Bool { loops.isAnswering(within: limit) }

    // MARK: Life

    /// Starts listening and probing the upstreams.
    ///
    /// - Throws: `HTTPListenError` when an address cannot be bound; then none of them is left listening.
    package func start() async throws -> GatewayAddresses {
        let snapshot = snapshot
        dependencies.log?.level = snapshot.configuration.logLevel
        status.configured(
            version: snapshot.version, upstreams: snapshot.configuration.upstreams.map(\.name), kept: [],
            sharedServer: snapshot.settings.limiter?.shared?.server)
        metrics.configurationVersion.with().set(Double(snapshot.version))
        metrics.reloads.inForce()
        _ = pinTools(of: snapshot)
        await install(snapshot, previous: nil)
        let mainAddresses: [SocketAddress]
        let adminAddresses: [SocketAddress]
        do {
            mainAddresses = try await main.start()
            adminAddresses = try await admin?.start() ?? []
        } catch {
            await main.drain(within: .zero)
            for endpoint in endpoints.all { endpoint.close() }
            await stopThreads()
            throw error
        }
        snapshot.listeners.warn(snapshot.configuration.site, logger)
        loops.start()
        if let tracer { state.withLock { $0.exporting = Task { await tracer.run() } } }
        if admin != nil {
            state.withLock { state in
                state.sampling = Task { [history, metrics] in await history.run { metrics.registry.exposition() } }
            }
        }
        watch(snapshot)
        return GatewayAddresses(main: mainAddresses, admin: adminAddresses)
    }

    /// Reads the configuration again and puts it in force; changes nothing if it is invalid.
    ///
    /// - Returns: True if it is in force: then every request from now on is served under it.
    @discardableResult
    package func reload() async -> Bool {
        let configuration: GatewayConfiguration
        do {
            configuration = try dependencies.load()
            for secret in configuration.secrets { dependencies.redact(secret.value) }
        } catch {
            status.reloadFailed("\(error)")
            metrics.reloads.failed()
            logger.error("reload failed", metadata: ["problem": "\(error)"])
            return false
        }
        let change = state.withLock { state -> (old: GatewaySnapshot, new: GatewaySnapshot)? in
            guard !state.isDraining else { return nil }
            let old = state.snapshot
            var configuration = configuration
            // Workers are created once; a change of their number waits for a restart.
            configuration.workers = old.configuration.workers
            state.snapshot = GatewaySnapshot(
                configuration, version: old.version + 1, listeners: old.listeners, memory: memory, previous: old,
                metrics: metrics, logger: dependencies.logger("gateway.mcp"), redact: dependencies.redact,
                now: dependencies.now)
            return (old, state.snapshot)
        }
        guard let (old, new) = change else { return false }
        warnOfFixedSettings(old.configuration, configuration)
        dependencies.log?.level = new.configuration.logLevel
        adminSite.replace(with: new.adminSite)
        let kept = new.upstreams.filter { upstream in old.upstreams.contains { $0 === upstream } }.map(\.name)
        status.configured(
            version: new.version, upstreams: new.configuration.upstreams.map(\.name), kept: Set(kept),
            sharedServer: new.settings.limiter?.shared?.server)
        let pinned = pinTools(of: new)
        await install(new, previous: old)
        announce(pinned)
        watch(new)
        closeUpstreams(old.upstreams.filter { upstream in !new.upstreams.contains { $0 === upstream } })
        metrics.configurationVersion.with().set(Double(new.version))
        metrics.reloads.reloaded()
        logger.info("reloaded", metadata: ["config.version": .stringConvertible(new.version)])
        return true
    }

    /// Stops the gateway: readiness turns false, requests in flight finish, sessions are ended, threads are joined.
    package func drain() async {
        let snapshot = state.withLock { state -> GatewaySnapshot? in
            guard !state.isDraining else { return nil }
            state.isDraining = true
            return state.snapshot
        }
        guard let snapshot else { return }
        logger.info("draining")
        status.drain()
        let drain = snapshot.configuration.drain
        if drain.delay > .zero { try? await Task.sleep(for: drain.delay) }
        let endpoints = endpoints.all
        async let drained: Void = Self.drain(endpoints, within: drain.timeout)
        await main.drain(within: drain.timeout)
        await drained
        workers.forEach { $0.worker.isClosed = true }
        let prober = state.withLock { $0.prober.take() }
        prober?.cancel()
        await prober?.value
        if let engine = engines.first {
            for upstream in snapshot.upstreams { await upstream.close(engine, within: .seconds(1)) }
        }
        state.withLock { $0.sampling.take() }?.cancel()
        let exporting = state.withLock { $0.exporting.take() }
        exporting?.cancel()
        await exporting?.value
        await tracer?.close(within: .seconds(2))
        await admin?.drain(within: .milliseconds(200))
        await stopThreads()
        logger.info("stopped")
    }

    private func stopThreads() async {
        loops.stop()
        for engine in engines { await engine.shutdown() }
        try? await group.shutdownGracefully()
    }

    // MARK: Upstreams

    private func watch(_ snapshot: GatewaySnapshot) {
        let workers = workers
        let prober = UpstreamProber(
            snapshot.upstreams, types: snapshot.configuration.chat.types, status: status, metrics: metrics,
            logger: logger, check: { await workers.check($0, server: $1) },
            changed: { [weak self] upstream in
                if upstream.kind == .mcp { workers.forEach { $0.takeCatalogs() } }
                self?.survey(upstream)
            })
        let task = Task { await prober.run() }
        let previous = state.withLock { state in
            let previous = state.prober
            state.prober = task
            return previous
        }
        previous?.cancel()
    }

    /// Closes upstreams that a reload has removed, once requests that began before it cannot use them any more.
    private func closeUpstreams(_ upstreams: [Upstream]) {
        guard !upstreams.isEmpty, let engine = engines.first else { return }
        let timeouts = snapshot.configuration.chat.types.map(\.timeout)
        Task {
            try? await Task.sleep(for: timeouts.max() ?? .zero)
            for upstream in upstreams { await upstream.close(engine) }
        }
    }

    private func warnOfFixedSettings(_ old: GatewayConfiguration, _ new: GatewayConfiguration) {
        var fixed: [String] = []
        if old.listen != new.listen { fixed.append("listen") }
        if old.admin != new.admin { fixed.append("admin") }
        if old.workers != new.workers { fixed.append("workers") }
        if old.tracing != new.tracing { fixed.append("tracing") }
        fixed += new.limits.fixedKeys(changedFrom: old.limits).map { "limits.\($0)" }
        for key in fixed { logger.warning("change needs a restart", metadata: ["config.key": "\(key)"]) }
    }

    // MARK: Parts

    private static func mainServer(
        _ snapshot: GatewaySnapshot, _ dependencies: GatewayDependencies, _ memory: MemoryBudget
    ) -> HTTPServerConfiguration {
        let configuration = snapshot.configuration
        var server = HTTPServerConfiguration(addresses: snapshot.listeners.main, name: "main")
        let limits = configuration.limits
        server.maximumHeaderBytes = limits.headerBytes
        server.maximumHeaderCount = limits.headerCount
        server.apply(limits.clients)
        server.memory = memory
        server.maximumConnections = dependencies.connections ?? limits.connections
        server.drainIdleGrace = configuration.drain.idleGrace
        return server
    }
}
