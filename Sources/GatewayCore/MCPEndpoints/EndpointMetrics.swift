import JSON
import MCPAggregator
import MCPServer
import Observability
import Synchronization

/// Metrics of one MCP endpoint: labels are its path, the names of its upstreams, the methods that an endpoint forwards, and
/// outcomes of this code.
struct EndpointMetrics: EndpointObserver {
    private let metrics: GatewayMetrics
    private let path: String
    private let recent = Recent()

    /// Outcome of requests of a method at an upstream.
    private struct Outcome: Equatable {
        let outcome: String
        let upstream: String
        let method: String
    }

    private final class Recent: Sendable {
        let instruments = Mutex(RecentInstruments<Outcome>())
    }

    init(_ metrics: GatewayMetrics, path: String) {
        self.metrics = metrics
        self.path = path
    }

    func requestEnded(_ method: String, upstream: String, outcome: String, after duration: Duration) {
        let key = Outcome(outcome: outcome, upstream: upstream, method: method)
        let instruments = recent.instruments.withLock { recent in
            recent.instruments(of: key) {
                .init(
                    requests: metrics.endpointRequests.with(path, upstream, method, outcome),
                    durations: metrics.endpointDurations.with(path, upstream, method))
            }
        }
        instruments.requests.increment()
        instruments.durations.observe(duration)
    }
}

/// The state of an MCP endpoint, for the status page and the metrics.
struct EndpointState: Sendable {
    /// One of its upstreams.
    struct Member: Sendable {
        let name: String
        let prefix: String
        /// Names of the listed tools that come from it, as clients see them.
        let tools: [String]
        /// Cause for which its entries are left out; nil: they are there.
        let problem: String?
    }

    let path: String
    let members: [Member]
    /// Sessions of legacy clients.
    let sessions: Int
    /// Questions of legacy servers that wait for clients of 2026-07-28.
    let heldQuestions: Int
    let requestsUnderWay: Int

    /// JSON form.
    var json: JSONValue {
        let members = members.map { member -> JSONValue in
            [
                "name": .string(member.name), "prefix": .string(member.prefix),
                "tools": .array(member.tools.map { .string($0) }),
                "problem": member.problem.map { .string($0) } ?? .null,
            ]
        }
        return [
            "path": .string(path), "upstreams": .array(members), "sessions": .number(sessions),
            "heldQuestions": .number(heldQuestions), "requestsUnderWay": .number(requestsUnderWay),
        ]
    }
}

extension MCPEndpointService {
    /// The state of the endpoint, with the tools as they were last listed in its own name.
    var state: EndpointState {
        let listing = router.lastListing
        let members = configuration.members.map { member in
            EndpointState.Member(
                name: member.upstream, prefix: member.prefix,
                tools: listing.tools.filter { $0.upstream == member.upstream }.map(\.name),
                problem: listing.missing.first { $0.upstream == member.upstream }?.problem)
        }
        return EndpointState(
            path: configuration.path, members: members, sessions: streamable.sessionCount,
            heldQuestions: router.heldQuestions, requestsUnderWay: router.requestsUnderWay)
    }
}

/// The MCP endpoints in force, in the order of the configuration.
final class EndpointTable: Sendable {
    private let services = Mutex<[MCPEndpointService]>([])

    var all: [MCPEndpointService] { services.withLock { $0 } }

    /// The states of all endpoints.
    var states: [EndpointState] { all.map(\.state) }

    func replace(with endpoints: [MCPEndpointService]) { services.withLock { $0 = endpoints } }
}
