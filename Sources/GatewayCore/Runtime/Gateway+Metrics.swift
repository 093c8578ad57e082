import CurlTransport
import HTTPServer
import MCPClient
import Observability
import ServiceRuntime

extension Gateway {
    /// Registers the metrics whose values are computed when they are scraped.
    func addMetrics() {
        let registry = metrics.registry
        let main = main
        registry.addProcessMetrics()
        registry.addMemoryMetrics(memory, prefix: "gateway")
        registry.addBuildInfo("gateway", dependencies.build)
        registry.addLogMetrics(dependencies.log, prefix: "gateway")
        registry.sampled("gateway_connections", help: "Open connections of clients.") {
            [MetricSample(Double(main.statistics.connections))]
        }
        registry.sampled("gateway_requests_in_flight", help: "Requests begun and not finished.") {
            [MetricSample(Double(main.statistics.activeRequests))]
        }
        registry.sampled("gateway_connections_total", help: "Connections accepted.", type: "counter") {
            [MetricSample(Double(main.statistics.acceptedConnections))]
        }
        registry.sampled("gateway_connections_refused_total", help: "Connections over the limit.", type: "counter") {
            [MetricSample(Double(main.statistics.refusedConnections))]
        }
        registry.sampled(
            "gateway_rate_limit_replacements_total",
            help: "Callers forgotten while they still owed something: a sign that rateLimits.entries is too small.",
            type: "counter", labels: ["limit"]
        ) { [weak self] in
            guard let limiter = self?.snapshot.settings.limiter else { return [] }
            return RateLimiter.Limit.allCases.map {
                MetricSample(Double(limiter.replacements($0)), labels: [$0.rawValue])
            }
        }
        registry.sampled(
            "gateway_chat_held_questions", help: "Calls of legacy servers that are held for an answer of their user."
        ) { [weak self] in
            (self?.snapshot.questionMemory.held.count).map { [MetricSample(Double($0))] } ?? []
        }
        registry.sampled(
            "gateway_shared_limits_available",
            help: "1 while the server of rateLimits.shared counts, 0 while it is away."
        ) { [weak self] in
            guard let shared = self?.snapshot.settings.limiter?.shared else { return [] }
            return [MetricSample(shared.server.isAvailable ? 1 : 0)]
        }
        let engines = engines
        registry.sampled("gateway_upstream_connections", help: "Open connections to upstreams.") {
            [MetricSample(Double(engines.reduce(0) { $0 + $1.statistics.openSockets }))]
        }
        registry.sampled("gateway_upstream_connections_opened_total", help: "Connections opened.", type: "counter") {
            [MetricSample(Double(engines.reduce(0) { $0 + $1.statistics.openedConnections }))]
        }
        addSessionMetrics(registry)
        addLoadMetrics(registry)
        addEndpointMetrics()
    }

    private func addLoadMetrics(_ registry: MetricsRegistry) {
        registry.sampled(
            "gateway_certificate_not_after_timestamp_seconds",
            help: "When the first certificate of a file ends, since the epoch; 0 when the file cannot be read.",
            labels: ["file"]
        ) { [weak self] in
            guard let configuration = self?.snapshot.configuration else { return [] }
            let own = configuration.upstreams.compactMap { $0.tls?.certificateFile }
            return Set(configuration.certificates + own).sorted().map { file in
                MetricSample(CertificateExpiry.earliest(in: file) ?? 0, labels: [file])
            }
        }
        let status = status
        registry.sampled(
            "gateway_drift_findings",
            help: "Differences between the configured types or the pinned tools and the upstream's tools.",
            labels: ["upstream"]
        ) { [weak self] in
            (self?.snapshot.upstreams ?? []).map {
                MetricSample(Double(status.drift(of: $0.name).count), labels: [$0.name])
            }
        }
        registry.sampled(
            "gateway_hidden_tools",
            help: "Tools of an upstream that are hidden because their definitions are new or have changed.",
            labels: ["upstream"]
        ) { [weak self] in
            (self?.snapshot.upstreams ?? []).filter(\.configuration.isPinnable).map {
                MetricSample(Double($0.pinning.hidden.count), labels: [$0.name])
            }
        }
        registry.sampled("gateway_upstream_calls_in_flight", help: "Calls under way.", labels: ["upstream"]) {
            [weak self] in
            (self?.snapshot.upstreams ?? []).map { MetricSample(Double($0.load.outstanding), labels: [$0.name]) }
        }
        registry.sampled("gateway_upstream_queue_length", help: "Calls that wait for a place.", labels: ["upstream"]) {
            [weak self] in
            (self?.snapshot.upstreams ?? []).map { MetricSample(Double($0.load.waiting), labels: [$0.name]) }
        }
    }

    private func addSessionMetrics(_ registry: MetricsRegistry) {
        let measures: [(name: String, help: String, type: String, value: @Sendable (MCPUpstreamStatistics) -> Int)] = [
            ("gateway_sessions", "Sessions held.", "gauge", { $0.sessions }),
            ("gateway_handshakes_total", "Handshakes begun.", "counter", { $0.handshakes }),
            ("gateway_handshakes_failed_total", "Handshakes without a session.", "counter", { $0.failedHandshakes }),
            ("gateway_session_evictions_total", "Sessions ended for room or age.", "counter", { $0.evictions }),
            ("gateway_sessions_stale_total", "Sessions that the upstream had forgotten.", "counter", { $0.stale }),
        ]
        registry.sampled(
            "gateway_upstream_breaker_state",
            help: "The worst state of the breakers of an upstream's servers: 0 closed, 1 half-open, 2 open.",
            labels: ["upstream"]
        ) { [weak self] in
            (self?.snapshot.upstreams ?? []).map { upstream in
                let worst = upstream.servers.map(\.breakers.phase.rawValue).max()
                return MetricSample(Double(worst ?? 0), labels: [upstream.name])
            }
        }
        for (name, help, type, value) in measures {
            registry.sampled(name, help: help, type: type, labels: ["upstream"]) { [weak self] in
                (self?.snapshot.upstreams ?? []).filter { $0.kind == .mcp }.map { upstream in
                    let total = upstream.servers.compactMap(\.client).reduce(0) { $0 + value($1.statistics) }
                    return MetricSample(Double(total), labels: [upstream.name])
                }
            }
        }
    }
}
