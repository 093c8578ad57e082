package import Observability

/// The gateway's metrics. Label values are types, tools, upstreams, statuses and error labels: all bounded by the
/// configuration and by this code, never by what clients send.
package final class GatewayMetrics: Sendable {
    package let registry: MetricsRegistry
    /// By type (or route), tool, status and outcome (`ok`, an error label, `client_closed`).
    let requests: MetricFamily<Counter>
    /// By type (or route).
    let durations: MetricFamily<Histogram>
    /// By upstream's phase and type.
    let phases: MetricFamily<Histogram>
    /// By upstream.
    let replays: MetricFamily<Counter>
    /// By upstream: 1 while the last check succeeded.
    let reachable: MetricFamily<Gauge>
    /// By upstream: findings of the last comparison with its tools.
    let drift: MetricFamily<Gauge>
    /// By result.
    let reloads: MetricFamily<Counter>
    let configurationVersion: MetricFamily<Gauge>

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
        requests = registry.counter(
            "gateway_requests_total", help: "Requests by type or route, tool, status and outcome.",
            labels: ["type", "tool", "status", "outcome"])
        durations = registry.histogram(
            "gateway_request_duration_seconds", help: "From a request's first byte to the end of its response.",
            labels: ["type"])
        phases = registry.histogram(
            "gateway_upstream_phase_seconds", help: "Time of a call by phase: waiting for a session, or the answer.",
            labels: ["type", "phase"])
        replays = registry.counter(
            "gateway_upstream_replays_total", help: "Calls that were sent again.", labels: ["upstream"])
        reachable = registry.gauge(
            "gateway_upstream_reachable", help: "1 while the last check of the upstream succeeded.",
            labels: ["upstream"])
        drift = registry.gauge(
            "gateway_drift_findings", help: "Differences between the configured types and the upstream's tools.",
            labels: ["upstream"])
        reloads = registry.counter(
            "gateway_configuration_reloads_total", help: "Reloads of the configuration by result.", labels: ["result"])
        configurationVersion = registry.gauge(
            "gateway_configuration_version", help: "How many configurations have been in force.")
    }

    func instruments(of type: ChatType) -> TypeInstruments {
        TypeInstruments(
            succeeded: requests.with(type.name, type.tool, "200", "ok"), duration: durations.with(type.name),
            session: phases.with(type.name, "session"), upstream: phases.with(type.name, "upstream"))
    }
}

/// A type's instruments, looked up once.
final class TypeInstruments: Sendable {
    let succeeded: Counter
    let duration: Histogram
    let session: Histogram
    let upstream: Histogram

    init(succeeded: Counter, duration: Histogram, session: Histogram, upstream: Histogram) {
        self.succeeded = succeeded
        self.duration = duration
        self.session = session
        self.upstream = upstream
    }
}
