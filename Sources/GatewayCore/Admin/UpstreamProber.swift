import CurlTransport
import Logging
import MCPClient
import NIOCore
import Observability

/// Probes every upstream periodically: whether it answers, and which tools it has.
///
/// An MCP server is asked for its tools over the gateway's own (anonymous) session. This exercises the whole path, and
/// refreshes the schemas that arguments are checked against.
final class UpstreamProber: Sendable {
    /// Asks one server of an upstream, given by its place, for its tools.
    typealias Check = @Sendable (Upstream, Int) async -> Result<ToolCatalog, UpstreamError>

    private let upstreams: [Upstream]
    private let types: [ChatTypeConfiguration]
    private let status: GatewayStatus
    private let metrics: GatewayMetrics
    private let logger: Logger
    private let check: Check
    private let changed: @Sendable (Upstream) -> Void

    /// Pause before an unreachable upstream is probed again.
    static let impatience: Duration = .milliseconds(250)

    /// - Parameters:
    ///   - types: The configured types, which are compared with the tools.
    ///   - changed: Called when an upstream's tools became known or may have changed.
    init(
        _ upstreams: [Upstream], types: [ChatTypeConfiguration], status: GatewayStatus, metrics: GatewayMetrics,
        logger: Logger, check: @escaping Check, changed: @escaping @Sendable (Upstream) -> Void
    ) {
        self.upstreams = upstreams
        self.types = types
        self.status = status
        self.metrics = metrics
        self.logger = logger
        self.check = check
        self.changed = changed
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for upstream in upstreams {
                group.addTask { await self.watch(upstream) }
            }
        }
    }

    private func watch(_ upstream: Upstream) async {
        let interval = upstream.configuration.probeInterval
        var pause = Self.impatience
        while !Task.isCancelled {
            let result = await checkAll(upstream)
            guard !Task.isCancelled else { return }
            let status = note(result, upstream)
            // An unreachable server may be back in a moment, so it is probed at the short interval. One that answers
            // wrongly is probed with increasing intervals.
            if case .failure(let failure) = result, failure.kind != .unreachable {
                pause = min(pause * 2, interval)
            } else {
                pause = Self.impatience
            }
            try? await Task.sleep(for: status.isReachable ? interval : min(interval, pause))
        }
    }

    /// Probes all servers of an upstream at the same time. The first successful result counts for the upstream.
    private func checkAll(_ upstream: Upstream) async -> Result<ToolCatalog, UpstreamError> {
        guard upstream.servers.count > 1 else { return await checkServer(0, upstream) }
        return await withTaskGroup(of: (Int, Result<ToolCatalog, UpstreamError>).self) { group in
            for server in upstream.servers.indices {
                group.addTask { (server, await self.checkServer(server, upstream)) }
            }
            var results: [(Int, Result<ToolCatalog, UpstreamError>)] = []
            for await result in group { results.append(result) }
            results.sort { $0.0 < $1.0 }
            let answered = results.first { if case .success = $0.1 { true } else { false } }
            return answered?.1 ?? results[0].1
        }
    }

    private func checkServer(_ server: Int, _ upstream: Upstream) async -> Result<ToolCatalog, UpstreamError> {
        let result = await check(upstream, server)
        if !Task.isCancelled {
            upstream.servers[server].note(isReachable: Self.isReachable(result), now: .now())
        }
        return result
    }

    /// Returns whether a check reached the server; one that refuses to list its tools to anonymous callers counts as
    /// reached.
    private static func isReachable(_ result: Result<ToolCatalog, UpstreamError>) -> Bool {
        switch result {
        case .success: true
        case .failure(let failure):
            switch failure.kind {
            case .unauthorized, .forbidden, .rateLimited, .rejected, .overloaded: true
            default: false
            }
        }
    }

    /// Stores the result of a check in the status, and logs what changed.
    @discardableResult
    func note(
        _ result: Result<ToolCatalog, UpstreamError>, _ upstream: Upstream
    ) -> GatewayStatus.UpstreamStatus {
        let before = status[upstream: upstream.name]
        var now = before ?? GatewayStatus.UpstreamStatus()
        now.kind = upstream.kind
        now.health = upstream.servers.compactMap(\.client?.health)
        // What an unanswered check does not say is as it was.
        var drift = now.drift.filter { $0.type != nil }
        switch result {
        case .success(let catalog):
            now.isReachable = true
            now.problem = nil
            if upstream.kind == .mcp {
                upstream.note(catalog)
                drift = Drift.findings(types.filter { $0.upstream == upstream.name }, catalog)
            }
        case .failure(let failure):
            now.isReachable = Self.isReachable(result)
            now.problem = failure.summary
        }
        now.drift = drift + upstream.pinning.hidden.map { DriftFinding($0) }
        status.update(upstream.name, now)
        metrics.reachable.with(upstream.name).set(now.isReachable ? 1 : 0)
        if case .success = result { changed(upstream) }
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
        _ before: GatewayStatus.UpstreamStatus?, _ now: GatewayStatus.UpstreamStatus, _ upstream: Upstream
    ) {
        logReachability(before, now, upstream.name)
        let known = Set(before?.drift ?? [])
        for finding in now.drift where !known.contains(finding) && !finding.isLogged {
            logger.warning(
                "drift", metadata: ["upstream": "\(upstream.name)", "drift.finding": "\(finding.description)"])
        }
    }
}
