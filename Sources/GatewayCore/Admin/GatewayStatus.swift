package import JSON
import MCPClient
import Synchronization

/// State of the process for `/readyz` and the admin listener. Safe to use from any thread.
package final class GatewayStatus: Sendable {
    /// Result of the last probe of an upstream.
    package struct UpstreamStatus: Sendable {
        /// Result of the last probe.
        package var isReachable = false
        /// Reason why the upstream cannot be reached; nil while it can, and before the first check.
        package var problem: String?
        /// Differences between the configuration or the lock file and the upstream's tools.
        package var drift: [DriftFinding] = []
        var kind = UpstreamConfiguration.Kind.mcp
        /// Outcomes of the calls of each of its servers.
        var health: [CallHealth] = []

        /// Failure of its last calls although it can be reached; nil when they succeed.
        var failing: String? {
            guard isReachable, let worst = health.compactMap(\.failing).max(by: { $0.calls < $1.calls }) else {
                return nil
            }
            return "the last \(worst.calls) calls failed: \(worst.problem)"
        }

        /// Creates a status before the first probe.
        package init() {}

        init(isReachable: Bool, problem: String?, kind: UpstreamConfiguration.Kind) {
            self.isReachable = isReachable
            self.problem = problem
            self.kind = kind
        }
    }

    private struct State {
        var upstreams: [String: UpstreamStatus] = [:]
        var order: [String] = []
        /// Names that MCP endpoints hide because they come twice, by the endpoint's path and the upstream.
        var shadowed: [String: [String: [DriftFinding]]] = [:]
        var configurationVersion = 0
        var configurationProblem: String?
        var isDraining = false
        /// Server of the limits that other gateways share; nil where there are none.
        var sharedServer: SharedServer?
    }

    private let state = Mutex(State())

    /// Creates the status of a process that has not probed an upstream yet.
    package init() {}

    /// State of the upstream with that name.
    package subscript(upstream name: String) -> UpstreamStatus? {
        state.withLock { $0.upstreams[name] }
    }

    func update(_ upstream: String, _ status: UpstreamStatus) {
        // A check that was under way when a reload removed the upstream must not bring it back.
        state.withLock { if $0.order.contains(upstream) { $0.upstreams[upstream] = status } }
    }

    /// Takes note of the names that an endpoint hides because they come twice, by upstream.
    ///
    /// - Returns: Those that were not known.
    func update(shadowed: [String: [DriftFinding]], ofEndpoint path: String) -> [(upstream: String, DriftFinding)] {
        let before = state.withLock { state in
            defer { state.shadowed[path] = shadowed }
            return state.shadowed[path] ?? [:]
        }
        return shadowed.flatMap { upstream, findings in
            findings.filter { before[upstream]?.contains($0) != true }.map { (upstream, $0) }
        }
    }

    /// Forgets the endpoints that are not among these.
    func keep(endpoints paths: [String]) {
        state.withLock { state in state.shadowed = state.shadowed.filter { paths.contains($0.key) } }
    }

    /// Returns everything in which an upstream differs from what is configured and pinned.
    package func drift(of upstream: String) -> [DriftFinding] { state.withLock { Self.drift(of: upstream, $0) } }

    private static func drift(of upstream: String, _ state: State) -> [DriftFinding] {
        let shadowed = state.shadowed.sorted { $0.key < $1.key }.flatMap { $0.value[upstream] ?? [] }
        return (state.upstreams[upstream]?.drift ?? []) + shadowed
    }

    /// - Parameters:
    ///   - kept: Upstreams whose settings are unchanged. The status of all others is reset.
    ///   - sharedServer: Server of the limits that other gateways share; nil where there are none.
    func configured(version: Int, upstreams: [String], kept: Set<String>, sharedServer: SharedServer? = nil) {
        state.withLock { state in
            state.sharedServer = sharedServer
            state.configurationVersion = version
            state.configurationProblem = nil
            state.order = upstreams
            state.upstreams = state.upstreams.filter { kept.contains($0.key) }
        }
    }

    func reloadFailed(_ problem: String) {
        state.withLock { $0.configurationProblem = problem }
    }

    func drain() {
        state.withLock { $0.isDraining = true }
    }

    /// Answer to `/readyz`: ready while at least one upstream can be reached and the process is not stopping. Drift is
    /// reported but does not affect readiness.
    package var readiness: (isReady: Bool, document: JSONValue) {
        let state = state.withLock { $0 }
        let isReachable = state.upstreams.values.contains { $0.isReachable }
        let isReady = isReachable && !state.isDraining
        var reasons: [JSONValue] = []
        if state.isDraining { reasons.append("draining") }
        if !isReachable { reasons.append("no upstream can be reached") }
        var upstreams: JSONObject = [:]
        for name in state.order {
            let status = state.upstreams[name] ?? UpstreamStatus()
            var object: JSONObject = ["reachable": .bool(status.isReachable)]
            if status.kind != .mcp { object["kind"] = .string(status.kind.rawValue) }
            if let problem = status.problem ?? status.failing { object["problem"] = .string(problem) }
            if status.kind == .mcp { object["failing"] = .bool(status.failing != nil) }
            let drift = Self.drift(of: name, state)
            if status.kind == .mcp || !drift.isEmpty { object["drift"] = .array(drift.map(\.json)) }
            upstreams[name] = .object(object)
        }
        var document: JSONObject = ["status": .string(isReady ? "ready" : "not ready")]
        if !reasons.isEmpty { document["reasons"] = .array(reasons) }
        document["config_version"] = .number(JSONNumber(state.configurationVersion))
        document["config_error"] = state.configurationProblem.map { .string($0) } ?? .null
        document["upstreams"] = .object(upstreams)
        if let shared = state.sharedServer {
            document["shared_limits"] = [
                "server": .string("\(shared.configuration.address)"), "available": .bool(shared.isAvailable),
            ]
        }
        return (isReady, .object(document))
    }
}
