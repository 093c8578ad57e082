import Identity
package import Observability
import ServiceRuntime

/// Metrics of a tool-server. Label values are bounded: tools, routes, statuses, reasons.
package struct ToolServerMetrics: Sendable {
    let registry: MetricsRegistry
    let requests: MetricFamily<Counter>
    let requestDuration: MetricFamily<Histogram>
    let toolCalls: MetricFamily<Counter>
    let toolDuration: MetricFamily<Histogram>
    /// Refused credentials by ``CredentialErrorKind``.
    private let refusedCredentials: MetricFamily<Counter>
    let reloads: ReloadMetrics
    let loopLag: MetricFamily<Histogram>

    /// Registers the metrics.
    package init(registry: MetricsRegistry) {
        self.registry = registry
        requests = registry.counter(
            "tool_server_http_requests_total", help: "Answered HTTP requests.", labels: ["route", "status"])
        requestDuration = registry.histogram(
            "tool_server_http_request_duration_seconds", help: "From a request's first byte to its last answer byte.",
            labels: ["route"])
        toolCalls = registry.counter(
            "tool_server_tool_calls_total", help: "Tool calls by outcome.", labels: ["tool", "outcome"])
        toolDuration = registry.histogram(
            "tool_server_tool_duration_seconds", help: "How long tools ran.", labels: ["tool"])
        refusedCredentials = registry.counter(
            "tool_server_refused_credentials_total",
            help: "Requests refused with 401 for what they present about their sender, and logins that fail.",
            labels: ["reason"])
        reloads = ReloadMetrics(registry, prefix: "tool_server")
        loopLag = registry.histogram(
            "tool_server_event_loop_lag_seconds", help: "How late the event loops carry out what is due.")
        for kind in CredentialErrorKind.allCases { refusedCredentials.with(kind.rawValue).increment(by: 0) }
    }

    /// Counts a refusal.
    func refused(_ kind: CredentialErrorKind) { refusedCredentials.with(kind.rawValue).increment() }
}
