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
    /// By type, side (`mcp`, `chat`) and outcome: requests that may have gone to either.
    let routed: MetricFamily<Counter>
    /// By type and side.
    let routedDurations: MetricFamily<Histogram>
    /// By type and ``ShadowResult``.
    let shadows: MetricFamily<Counter>
    /// By type and ``AnswerDifference/Kind``: compared answers that have such a difference.
    let shadowDifferences: MetricFamily<Counter>

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
        routed = registry.counter(
            "gateway_routed_requests_total",
            help: "Requests of types that the old backend serves or shares, by who served them.",
            labels: ["type", "side", "outcome"])
        routedDurations = registry.histogram(
            "gateway_routed_request_duration_seconds", help: "Their time, from first byte to the end of the response.",
            labels: ["type", "side"])
        shadows = registry.counter(
            "gateway_shadow_requests_total",
            help: "Answers of the old backend by how the tool's answer compares.", labels: ["type", "result"])
        shadowDifferences = registry.counter(
            "gateway_shadow_differences_total", help: "Compared answers by the kind of what differs.",
            labels: ["type", "kind"])
        configurationVersion = registry.gauge(
            "gateway_configuration_version", help: "How many configurations have been in force.")
    }

    func instruments(of type: ChatTypeConfiguration) -> TypeInstruments {
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
