import MCPClient
package import Observability
import ServiceRuntime

/// Metrics of the gateway. Label values are types, tools, upstreams, statuses and error labels: all bounded by the
/// configuration and by this code, never by what clients send.
package final class GatewayMetrics: Sendable {
    /// Registry that the metrics belong to.
    package let registry: MetricsRegistry
    /// Requests by type (or route), tool, status and outcome (`ok`, an error label, `client_closed`).
    let requests: MetricFamily<Counter>
    /// Durations of requests by type (or route) and tool.
    let durations: MetricFamily<Histogram>
    /// Durations of an upstream's phases by phase and type.
    let phases: MetricFamily<Histogram>
    /// Repeated calls by upstream.
    let replays: MetricFamily<Counter>
    /// Reachability by upstream: 1 while the last check succeeded.
    let reachable: MetricFamily<Gauge>
    /// Refused credentials by route and reason: the gateway's own 401 and 403, or the upstream's.
    let refusedCredentials: MetricFamily<Counter>
    /// Refused requests by limit.
    let rateLimited: MetricFamily<Counter>
    /// Checks of shared limits by outcome: counted by the server (`shared`), by this gateway (`local`), or `refused`.
    let sharedLimitChecks: MetricFamily<Counter>
    let reloads: ReloadMetrics
    let configurationVersion: MetricFamily<Gauge>
    /// Requests that several upstreams may serve, by type, side (the kind of the upstream that served it) and outcome.
    let routed: MetricFamily<Counter>
    /// Durations of such requests by type and side.
    let routedDurations: MetricFamily<Histogram>
    /// Comparisons of shadowed types by type and result.
    let shadows: MetricFamily<Counter>
    /// Compared responses that differ, by type and kind of difference.
    let shadowDifferences: MetricFamily<Counter>
    /// Questions of tools to their users by type and step.
    let questions: MetricFamily<Counter>
    let loopLag: MetricFamily<Histogram>
    /// By endpoint, upstream, method and outcome.
    let endpointRequests: MetricFamily<Counter>
    /// By endpoint, upstream and method.
    let endpointDurations: MetricFamily<Histogram>

    /// Registers the metrics.
    package init(_ registry: MetricsRegistry) {
        self.registry = registry
        requests = registry.counter(
            "gateway_requests_total", help: "Requests by type or route, tool, status and outcome.",
            labels: ["type", "tool", "status", "outcome"])
        durations = registry.histogram(
            "gateway_request_duration_seconds", help: "From a request's first byte to the end of its response.",
            labels: ["type", "tool"])
        phases = registry.histogram(
            "gateway_upstream_phase_seconds",
            help: """
                Time of a call by phase: queue (only of calls that waited), session, connect (only where a connection \
                was opened), first_byte, upstream (sending to the whole answer, replays included), total.
                """,
            labels: ["type", "phase"])
        replays = registry.counter(
            "gateway_upstream_replays_total", help: "Calls that were sent again.", labels: ["upstream"])
        reachable = registry.gauge(
            "gateway_upstream_reachable", help: "1 while the last check of the upstream succeeded.",
            labels: ["upstream"])
        refusedCredentials = registry.counter(
            "gateway_refused_credentials_total",
            help: "Requests answered with 401 or 403, by the upstream or for their origin or tool.",
            labels: ["route", "reason"])
        rateLimited = registry.counter(
            "gateway_rate_limited_total", help: "Requests refused by a rate limit.", labels: ["limit"])
        sharedLimitChecks = registry.counter(
            "gateway_shared_limit_checks_total",
            help: "Checks of shared rate limits: counted by the server (shared), by this gateway (local), or refused.",
            labels: ["outcome"])
        reloads = ReloadMetrics(registry, prefix: "gateway")
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
        endpointRequests = registry.counter(
            "gateway_endpoint_requests_total",
            help: "Requests of an MCP endpoint to its upstreams by method and outcome, its own lists included.",
            labels: ["endpoint", "upstream", "method", "outcome"])
        endpointDurations = registry.histogram(
            "gateway_endpoint_request_duration_seconds", help: "Their time, from the sending to the whole result.",
            labels: ["endpoint", "upstream", "method"])
        questions = registry.counter(
            "gateway_chat_questions_total",
            help: "Questions of tools to their users: asked, accepted, declined, cancelled, expired (held in vain).",
            labels: ["type", "step"])
        loopLag = registry.histogram(
            "gateway_event_loop_lag_seconds", help: "How late the event loops carry out what is due.")
    }

    /// Returns the instruments of a chat type.
    func instruments(type: String, tool: String) -> TypeInstruments {
        TypeInstruments(
            name: type, tool: tool, succeeded: requests.with(type, tool, "200", "ok"),
            duration: durations.with(type, tool), phases: PhaseInstruments { phases.with(type, $0) })
    }
}

/// Names and instruments of a chat type, looked up once for requests, metrics and the access log.
final class TypeInstruments: Sendable {
    let name: String
    let tool: String
    let succeeded: Counter
    let duration: Histogram
    let phases: PhaseInstruments

    init(name: String, tool: String, succeeded: Counter, duration: Histogram, phases: PhaseInstruments) {
        self.name = name
        self.tool = tool
        self.succeeded = succeeded
        self.duration = duration
        self.phases = phases
    }
}

/// Instruments of the phases of a type's calls.
struct PhaseInstruments: Sendable {
    private let queue: Histogram
    private let session: Histogram
    private let connect: Histogram
    private let firstByte: Histogram
    private let upstream: Histogram
    private let total: Histogram

    /// - Parameter histogram: Returns the instrument of a phase.
    init(_ histogram: (_ phase: String) -> Histogram) {
        queue = histogram("queue")
        session = histogram("session")
        connect = histogram("connect")
        firstByte = histogram("first_byte")
        upstream = histogram("upstream")
        total = histogram("total")
    }

    func observe(_ timings: MCPCallTimings) {
        if timings.queue > .zero { queue.observe(timings.queue) }
        session.observe(timings.session)
        if timings.connect > .zero { connect.observe(timings.connect) }
        if timings.firstByte > .zero { firstByte.observe(timings.firstByte) }
        upstream.observe(timings.upstream)
        total.observe(timings.queue + timings.session + timings.upstream)
    }
}
