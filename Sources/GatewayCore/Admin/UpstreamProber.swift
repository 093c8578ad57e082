import CurlTransport
import Logging
import MCPClient
import NIOCore
import Observability

/// Asks every upstream, again and again, whether it answers and which tools it has.
///
/// One `tools/list` over the gateway's own (anonymous) session: it proves the whole path, and renews what arguments are
/// checked against.
final class UpstreamProber: Sendable {
    /// Asks one server of an upstream, given by its place, for its tools.
    typealias Check = @Sendable (GatewayUpstream, Int) async -> Result<ToolCatalog, MCPCallFailure>
    /// Asks one server of an old backend for anything; nil when it answers.
    typealias BackendCheck = @Sendable (ChatBackend, Int) async -> CurlError?

    private let snapshot: GatewaySnapshot
    private let status: GatewayStatus
    private let metrics: GatewayMetrics
    private let logger: Logger
    private let check: Check
    private let checkBackend: BackendCheck
    private let changed: @Sendable () -> Void

    /// How soon an upstream that cannot be reached is asked again.
    static let impatience: Duration = .milliseconds(250)

    /// - Parameter changed: Is called when an upstream's tools became known or may have changed.
    init(
        _ snapshot: GatewaySnapshot, status: GatewayStatus, metrics: GatewayMetrics, logger: Logger,
        check: @escaping Check, checkBackend: @escaping BackendCheck, changed: @escaping @Sendable () -> Void
    ) {
        self.snapshot = snapshot
        self.status = status
        self.metrics = metrics
        self.logger = logger
        self.check = check
        self.checkBackend = checkBackend
        self.changed = changed
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for upstream in snapshot.upstreams {
                group.addTask { await self.watch(upstream) }
            }
            for backend in snapshot.backends {
                group.addTask { await self.watch(backend) }
            }
        }
    }

    private func watch(_ upstream: GatewayUpstream) async {
        while !Task.isCancelled {
            let result = await checkAll(upstream)
            guard !Task.isCancelled else { return }
            let status = note(result, upstream)
            let interval = upstream.configuration.probeInterval
            try? await Task.sleep(for: status.isReachable ? interval : min(interval, Self.impatience))
        }
    }

    private func watch(_ backend: ChatBackend) async {
        while !Task.isCancelled {
            var problem: CurlError?
            var isReachable = false
            for server in backend.servers.indices {
                let found = await checkBackend(backend, server)
                guard !Task.isCancelled else { return }
                backend.servers[server].health.note(isReachable: found == nil, now: .now())
                isReachable = isReachable || found == nil
                problem = problem ?? found
            }
            let before = status[upstream: backend.name]
            let now = GatewayStatus.UpstreamStatus(
                isReachable: isReachable, problem: isReachable ? nil : problem?.description, kind: .chat)
            status.update(backend.name, now)
            metrics.reachable.with(backend.name).set(isReachable ? 1 : 0)
            logReachability(before, now, backend.name)
            let interval = backend.configuration.probeInterval
            try? await Task.sleep(for: isReachable ? interval : min(interval, Self.impatience))
        }
    }

    /// Asks all servers of an upstream at the same time. The first that has an answer speaks for all.
    private func checkAll(_ upstream: GatewayUpstream) async -> Result<ToolCatalog, MCPCallFailure> {
        guard upstream.servers.count > 1 else { return await checkServer(0, upstream) }
        return await withTaskGroup(of: (Int, Result<ToolCatalog, MCPCallFailure>).self) { group in
            for server in upstream.servers.indices {
                group.addTask { (server, await self.checkServer(server, upstream)) }
            }
            var results: [(Int, Result<ToolCatalog, MCPCallFailure>)] = []
            for await result in group { results.append(result) }
            results.sort { $0.0 < $1.0 }
            let answered = results.first { if case .success = $0.1 { true } else { false } }
            return answered?.1 ?? results[0].1
        }
    }

    private func checkServer(_ server: Int, _ upstream: GatewayUpstream) async -> Result<ToolCatalog, MCPCallFailure> {
        let result = await check(upstream, server)
        if !Task.isCancelled {
            upstream.servers[server].note(isReachable: Self.isReachable(result), now: .now())
        }
        return result
    }

    /// A server that refuses to list its tools to nobody in particular is there all the same.
    private static func isReachable(_ result: Result<ToolCatalog, MCPCallFailure>) -> Bool {
        switch result {
        case .success: true
        case .failure(let failure): [.unauthorized, .forbidden, .rateLimited, .rejected].contains(failure.kind)
        }
    }

    /// Takes a check's outcome into the status; logs what changed.
    @discardableResult
    func note(
        _ result: Result<ToolCatalog, MCPCallFailure>, _ upstream: GatewayUpstream
    ) -> GatewayStatus.UpstreamStatus {
        let before = status[upstream: upstream.name]
        var now = before ?? GatewayStatus.UpstreamStatus()
        switch result {
        case .success(let catalog):
            now.isReachable = true
            now.problem = nil
            now.catalog = catalog
            let types = snapshot.configuration.chat.types.filter { $0.upstream == upstream.name }
            now.drift = Drift.findings(types, catalog)
        case .failure(let failure):
            now.isReachable = Self.isReachable(result)
            now.problem = failure.kind.rawValue + ": " + failure.detail
        }
        status.update(upstream.name, now)
        metrics.reachable.with(upstream.name).set(now.isReachable ? 1 : 0)
        metrics.drift.with(upstream.name).set(Double(now.drift.count))
        if case .success = result { changed() }
        log(before, now, upstream)
        return now
    }

    private func logReachability(
        _ before: GatewayStatus.UpstreamStatus?, _ now: GatewayStatus.UpstreamStatus, _ upstream: String
    ) {
        guard before?.isReachable != now.isReachable else { return }
        if now.isReachable {
            logger.info("upstream reachable", metadata: ["upstream": "\(upstream)"])
        } else {
            logger.warning(
                "upstream unreachable", metadata: ["upstream": "\(upstream)", "problem": "\(now.problem ?? "")"])
        }
    }

    private func log(
        _ before: GatewayStatus.UpstreamStatus?, _ now: GatewayStatus.UpstreamStatus, _ upstream: GatewayUpstream
    ) {
        logReachability(before, now, upstream.name)
        if before?.drift ?? [] != now.drift {
            for finding in now.drift {
                logger.warning(
                    "drift", metadata: ["upstream": "\(upstream.name)", "drift.finding": "\(finding.description)"])
            }
        }
    }
}
