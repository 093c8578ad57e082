package import Observability

/// The metrics of a tool-server. Label values are bounded: tools, routes, statuses.
package struct ToolServerMetrics: Sendable {
    let registry: MetricsRegistry
    let requests: MetricFamily<Counter>
    let requestDuration: MetricFamily<Histogram>
    let toolCalls: MetricFamily<Counter>
    let toolDuration: MetricFamily<Histogram>

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
    }
}
