import Foundation
package import Observability

/// The metrics of a tool-server. Label values are bounded: tools, routes, statuses, reasons.
package struct ToolServerMetrics: Sendable {
    let registry: MetricsRegistry
    let requests: MetricFamily<Counter>
    let requestDuration: MetricFamily<Histogram>
    let toolCalls: MetricFamily<Counter>
    let toolDuration: MetricFamily<Histogram>
    /// By ``RefusalKind``.
    private let refusedCredentials: MetricFamily<Counter>
    /// By result.
    let reloads: MetricFamily<Counter>
    let reloadSucceeded: MetricFamily<Gauge>
    let reloadTime: MetricFamily<Gauge>
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
        reloads = registry.counter(
            "tool_server_configuration_reloads_total", help: "Reloads of the configuration by result.",
            labels: ["result"])
        reloadSucceeded = registry.gauge(
            "tool_server_configuration_last_reload_successful",
            help: "1 when the last reading of the configuration put it in force.")
        reloadTime = registry.gauge(
            "tool_server_configuration_last_reload_success_timestamp_seconds",
            help: "When a configuration last came into force, since the epoch.")
        loopLag = registry.histogram(
            "tool_server_event_loop_lag_seconds", help: "How late the event loops carry out what is due.")
        for result in ["succeeded", "failed"] { reloads.with(result).increment(by: 0) }
        for kind in RefusalKind.allCases { refusedCredentials.with(kind.rawValue).increment(by: 0) }
    }

    /// Counts a refusal.
    func refused(_ kind: RefusalKind) { refusedCredentials.with(kind.rawValue).increment() }

    func configurationInForce() {
        reloadSucceeded.with().set(1)
        reloadTime.with().set(Date().timeIntervalSince1970)
    }
}
