import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization

@testable import MCPAggregator

/// An upstream whose answers a test gives.
final class ScriptedUpstream: EndpointUpstream {
    typealias Answer = @Sendable (UpstreamRequest) async throws -> UpstreamResult

    struct State {
        var isAway = false
        var requests: [String] = []
    }

    let name: String
    let state = Mutex(State())
    private let version: MCPVersion
    private let answer: Answer

    init(_ name: String, version: MCPVersion = .latestModern, _ answer: @escaping Answer) {
        self.name = name
        self.version = version
        self.answer = answer
    }

    /// An upstream with tools of these names, each of which answers with its upstream's and its own name.
    static func tools(_ upstream: String, _ names: [String], ttl: Int = 60_000) -> ScriptedUpstream {
        ScriptedUpstream(upstream) { request in
            switch request.method {
            case MCPMethod.toolsList:
                let tools = names.map { name -> JSONValue in
                    ["name": .string(name), "inputSchema": ["type": "object"]]
                }
                return UpstreamResult(
                    ["tools": .array(tools), "ttlMs": .number(ttl), "cacheScope": "public"], era: .modern)
            case MCPMethod.toolsCall:
                let text = "\(upstream): \(request.params["name"]?.string ?? "")"
                return UpstreamResult(["content": [["type": "text", "text": .string(text)]]], era: .modern)
            default: return UpstreamResult([request.method: true], era: .modern)
            }
        }
    }

    func revision(for client: MCPVersion) async -> MCPVersion { version }
    func knownRevision(for client: MCPVersion) -> MCPVersion? { version }

    func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription {
        try checkAway()
        return UpstreamDescription(
            version: version,
            capabilities: ServerCapabilities(tools: .init(), resources: .init(subscribe: true)))
    }

    func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        try checkAway()
        state.withLock { $0.requests.append(request.method) }
        return try await answer(request)
    }

    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        throw EndpointError(label: "upstream_rejected", executed: "no", detail: "no stream of changes")
    }

    private func checkAway() throws {
        guard state.withLock({ $0.isAway }) else { return }
        throw EndpointError(label: "upstream_unreachable", executed: "no", detail: "refused")
    }

    func count(_ method: String) -> Int { state.withLock { $0.requests.count { $0 == method } } }
}

extension MCPServer {
    /// A server that forwards to a router, and what a client of 2026-07-28 posts to it.
    static func forwarding(to router: EndpointRouter) -> StreamableHTTP {
        StreamableHTTP(
            server: MCPServer(info: Implementation(name: "endpoint", version: "1"), forwarder: router, logger: quiet))
    }
}

extension StreamableHTTP {
    /// Posts a request of 2026-07-28 and returns the answer's status and message.
    func modern(
        _ method: String, _ params: JSONObject = [:], capabilities: JSONObject = [:]
    ) async throws -> (status: Int, message: JSONValue) {
        var params = params
        params["_meta"] = [
            MCPMeta.protocolVersion: .string(MCPVersion.latestModern.rawValue),
            MCPMeta.clientCapabilities: .object(capabilities),
        ]
        let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .object(params)]
        var headers: MCPHTTPHeaders = [
            "MCP-Protocol-Version": MCPVersion.latestModern.rawValue, "Mcp-Method": method,
            "Accept": "application/json", "Content-Type": "application/json",
        ]
        headers["Mcp-Name"] = (params["name"]?.string ?? params["uri"]?.string).map { MCPHeader.encodeValue($0) }
        let response = await handle(MCPHTTPRequest(method: "POST", headers: headers, body: body.serialized))
        guard case .whole(let status, _, let bytes) = response else { return (response.status, .null) }
        return (status, bytes.isEmpty ? .null : try JSONValue(parsing: bytes))
    }

    /// The names that `tools/list` gives.
    func toolNames() async throws -> [String] {
        try await modern(MCPMethod.toolsList).message["result"]?["tools"]?.array?.compactMap { $0["name"]?.string }
            ?? []
    }
}
