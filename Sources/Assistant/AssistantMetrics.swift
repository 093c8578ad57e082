package import Observability

/// Metrics of requests to AI providers and of the agent loop. Labels: the providers' configured names, bounded outcomes.
package struct AssistantMetrics: Sendable {
    let requests: MetricFamily<Counter>
    let retries: MetricFamily<Counter>
    let tokens: MetricFamily<Counter>
    let duration: MetricFamily<Histogram>
    let firstToken: MetricFamily<Histogram>
    let active: MetricFamily<Gauge>
    let agentSteps: MetricFamily<Counter>
    let agentCalls: MetricFamily<Counter>
    let budgetRefusals: MetricFamily<Counter>

    /// Registers the metrics.
    package init(registry: MetricsRegistry) {
        requests = registry.counter(
            "tool_server_provider_requests_total", help: "Requests to AI providers by outcome.",
            labels: ["provider", "outcome"])
        retries = registry.counter(
            "tool_server_provider_retries_total", help: "Requests to AI providers that were sent again.",
            labels: ["provider"])
        tokens = registry.counter(
            "tool_server_provider_tokens_total", help: "Tokens that AI providers counted.",
            labels: ["provider", "kind"])
        duration = registry.histogram(
            "tool_server_provider_duration_seconds", help: "How long requests to AI providers took.",
            labels: ["provider"])
        firstToken = registry.histogram(
            "tool_server_provider_first_token_seconds", help: "Until the first text of streamed answers.",
            labels: ["provider"])
        active = registry.gauge(
            "tool_server_provider_requests_active", help: "Requests to AI providers in flight.", labels: ["provider"])
        budgetRefusals = registry.counter(
            "tool_server_ai_budget_refusals_total",
            help: "Questions refused because a daily budget of tokens was spent.")
        agentSteps = registry.counter("tool_server_agent_steps_total", help: "Turns of the model in agent loops.")
        agentCalls = registry.counter(
            "tool_server_agent_tool_calls_total", help: "Tool calls that the model asked for, by outcome.",
            labels: ["outcome"])
    }
}
