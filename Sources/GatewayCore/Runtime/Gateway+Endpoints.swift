import HTTPServer
import JSON
import MCPAggregator
import NIOHTTP1
import Observability
import ServiceRuntime
import Synchronization

/// The MCP endpoints of a gateway.
extension Gateway {
    /// Waits until the endpoints' requests have ended, for that time at most, and ends their streams.
    static func drain(_ endpoints: [MCPEndpointService], within limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for endpoint in endpoints { group.addTask { await endpoint.drain(within: limit) } }
        }
    }

    /// Puts a configuration with its MCP endpoints in force. Endpoints whose configuration and upstreams are the same go
    /// on as they are.
    ///
    /// Both come to a worker at once: a path of an endpoint is never passed through, where no list of tools applies.
    func install(_ snapshot: GatewaySnapshot, previous: GatewaySnapshot?) async {
        let configuration = snapshot.configuration
        let known = self.endpoints.all
        let keepsKeys = previous?.configuration.sessionKeys == configuration.sessionKeys
        let endpoints = (configuration.mcp?.endpoints ?? []).map { endpoint in
            let same = known.first { $0.configuration == endpoint && $0.isServed(by: snapshot.upstreams) && keepsKeys }
            return same
                ?? MCPEndpointService(
                    endpoint, upstreams: snapshot.upstreams, workers: workers, keys: configuration.sessionKeys,
                    memory: memory,
                    metrics: EndpointMetrics(metrics, path: endpoint.path),
                    logger: dependencies.logger("gateway.mcp"))
        }
        self.endpoints.replace(with: endpoints)
        status.keep(endpoints: endpoints.map(\.configuration.path))
        await workers.install(snapshot, endpoints)
        for endpoint in endpoints { endpoint.followChanges() }
        for old in known where !endpoints.contains(where: { $0 === old }) { old.close() }
    }

    // MARK: Metrics and status

    /// Registers the metrics that are sampled when they are read.
    func addEndpointMetrics() {
        let registry = metrics.registry
        let measures: [(name: String, help: String, value: @Sendable (EndpointState) -> Int)] = [
            ("gateway_endpoint_sessions", "Sessions of legacy clients at an MCP endpoint.", { $0.sessions }),
            (
                "gateway_endpoint_held_questions",
                "Questions of legacy servers that wait for the next request of their client.", { $0.heldQuestions }
            ),
            ("gateway_endpoint_requests_in_flight", "Requests of clients under way.", { $0.requestsUnderWay }),
        ]
        for (name, help, value) in measures {
            registry.sampled(name, help: help, labels: ["endpoint"]) { [weak self] in
                (self?.endpoints.states ?? []).map { MetricSample(Double(value($0)), labels: [$0.path]) }
            }
        }
        registry.sampled(
            "gateway_endpoint_tools", help: "Tools that an MCP endpoint lists, by the upstream that they come from.",
            labels: ["endpoint", "upstream"]
        ) { [weak self] in
            (self?.endpoints.states ?? []).flatMap { state in
                state.members.map { MetricSample(Double($0.tools.count), labels: [state.path, $0.name]) }
            }
        }
        addProcessMetrics(registry)
    }

    private func addProcessMetrics(_ registry: MetricsRegistry) {
        let measures: [(name: String, help: String, type: String, value: @Sendable (StdioUpstream.Statistics) -> Int)] =
            [
                ("gateway_stdio_processes", "Processes of a stdio server that run.", "gauge", { $0.running }),
                ("gateway_stdio_starts_total", "Processes started, again included.", "counter", { $0.starts }),
                ("gateway_stdio_restarts_total", "Processes started again after an exit.", "counter", { $0.restarts }),
                (
                    "gateway_stdio_evictions_total", "Processes of one caller ended for another's.", "counter",
                    { $0.evictions }
                ),
            ]
        for (name, help, type, value) in measures {
            registry.sampled(name, help: help, type: type, labels: ["upstream"]) { [weak self] in
                (self?.snapshot.upstreams ?? []).compactMap { upstream in
                    upstream.stdio.map { MetricSample(Double(value($0.statistics)), labels: [upstream.name]) }
                }
            }
        }
    }

    /// Answers a request for the endpoints' state; nil for every other path.
    static func answer(_ head: HTTPRequestHead, _ states: [EndpointState]) -> AdminEndpoints.Answer? {
        guard head.uri.prefix(while: { $0 != "?" }) == "/status/endpoints" else { return nil }
        guard head.method == .GET || head.method == .HEAD else {
            return AdminEndpoints.Answer(
                ["error": "Method not allowed"], status: .methodNotAllowed, allow: "GET, HEAD")
        }
        return AdminEndpoints.Answer(["endpoints": .array(states.map(\.json))])
    }

    // MARK: What is pinned

    /// Hides the tools that the lock file of a configuration does not know.
    ///
    /// - Returns: The upstreams for which other tools are pinned than before.
    func pinTools(of snapshot: GatewaySnapshot) -> [Upstream] {
        snapshot.upstreams.filter { $0.pin(snapshot.configuration.lock) }
    }

    /// Tells the clients of endpoints that other tools of these upstreams are pinned than before.
    func announce(_ pinned: [Upstream]) {
        for endpoint in endpoints.all where pinned.contains(where: endpoint.offers) {
            endpoint.pinned()
        }
    }

    // MARK: Names that come twice

    /// Finds the names that come twice on the endpoints of an upstream that has just answered.
    func survey(_ upstream: Upstream) {
        for endpoint in endpoints.all where endpoint.offers(upstream) {
            Task { [weak self] in
                guard await endpoint.survey() else { return }
                self?.noteShadowedNames(of: endpoint)
            }
        }
    }

    private func noteShadowedNames(of endpoint: MCPEndpointService) {
        // A reload may have ended it in the meantime.
        guard endpoints.all.contains(where: { $0 === endpoint }) else { return }
        let path = endpoint.configuration.path
        let findings = endpoint.router.shadowedNames.map { name in
            (name.upstream, DriftFinding(shadowed: name, ofEndpoint: path))
        }
        let byUpstream = Dictionary(grouping: findings, by: \.0).mapValues { $0.map(\.1) }
        for (upstream, finding) in status.update(shadowed: byUpstream, ofEndpoint: path) {
            logger.warning(
                "drift", metadata: ["upstream": "\(upstream)", "drift.finding": "\(finding.description)"])
        }
    }
}
