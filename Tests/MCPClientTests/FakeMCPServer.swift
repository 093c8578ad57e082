import JSON
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport

/// A small MCP server over `ScriptedHTTPServer`, whose rules each test sets.
final class FakeMCPServer: Sendable {
    struct Rules: Sendable {
        var modern = false
        var legacy = true
        /// Legacy sessions have ids, and unknown ones are refused.
        var sessionIDs = true
        /// Status for an unknown session.
        var unknownSession = 404
        /// Answers come as event streams.
        var events = false
        /// `/mcp/` answers 307 to `/mcp`.
        var redirects = false
        var handshakeDelay = Duration.zero
        /// Instead of the ordinary answer to `tools/call`.
        var call: (@Sendable (ScriptedRequest, JSONValue) async -> ScriptedResponse?)?
        /// Instead of the ordinary answer to anything.
        var any: (@Sendable (ScriptedRequest, JSONValue) async -> ScriptedResponse?)?
        var tools: JSONValue = [
            ["name": "read", "inputSchema": ["type": "object"], "annotations": ["readOnlyHint": true]],
            ["name": "write", "inputSchema": ["type": "object"]],
        ]
    }

    struct State: Sendable {
        var rules: Rules
        var sessions: Set<String> = []
        /// Tool calls that ran, by name.
        var executions: [String] = []
        var next = 0
    }

    let state: Mutex<State>
    private let server: Mutex<ScriptedHTTPServer?> = Mutex(nil)

    init(_ rules: Rules = Rules()) async throws {
        state = Mutex(State(rules: rules))
        let made = try await ScriptedHTTPServer { [weak self] request in
            await self?.answer(request) ?? .empty(503)
        }
        server.withLock { $0 = made }
    }

    var http: ScriptedHTTPServer {
        guard let server = server.withLock({ $0 }) else { fatalError("the server is made in init") }
        return server
    }

    var url: String { http.url + "/mcp" }
    var executions: [String] { state.withLock { $0.executions } }
    func change(_ body: (inout Rules) -> Void) { state.withLock { body(&$0.rules) } }
    /// As a restart does.
    func forgetSessions() { state.withLock { $0.sessions = [] } }

    /// JSON-RPC methods in the order of their arrival; HTTP methods where there is no body.
    var methods: [String] {
        http.requests.map { request in
            (try? JSONValue(parsing: request.text))?["method"]?.string ?? request.method
        }
    }

    func count(_ method: String) -> Int { methods.count { $0 == method } }

    private func answer(_ request: ScriptedRequest) async -> ScriptedResponse {
        let rules = state.withLock { $0.rules }
        let message = (try? JSONValue(parsing: request.text)) ?? .null
        if let any = rules.any, let response = await any(request, message) { return response }
        if rules.redirects, request.path == "/mcp/" {
            return .empty(307, headers: [("Location", http.url + "/mcp")])
        }
        if request.path != "/mcp" { return .text("not here", status: 404) }
        let session = request.headers.first(name: "Mcp-Session-Id")
        if request.method == "DELETE" {
            state.withLock { _ = $0.sessions.remove(session ?? "") }
            return .empty(204)
        }
        guard request.method == "POST", let method = message["method"]?.string else { return .empty(202) }
        let isModern = message["params"]?["_meta"]?[MCPMeta.protocolVersion]?.string == "2026-07-28"
        if isModern, rules.modern { return await modern(request, message, method, rules) }
        if isModern || !rules.legacy {
            return .json(Self.error(message, isModern ? -32600 : -32601), status: isModern ? 400 : 404)
        }
        return await legacy(request, message, method, session, rules)
    }

    private func modern(
        _ request: ScriptedRequest, _ message: JSONValue, _ method: String, _ rules: Rules
    ) async -> ScriptedResponse {
        guard request.headers.first(name: "MCP-Protocol-Version") == "2026-07-28",
            request.headers.first(name: "Mcp-Method") == method
        else { return .json(Self.error(message, -32020), status: 400) }
        switch method {
        case "server/discover":
            try? await Task.sleep(for: rules.handshakeDelay)
            return reply(
                message,
                #"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"fake","version":"2"}}}"#,
                rules)
        case "tools/list":
            return reply(
                message, #"{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":\#(rules.tools.text)}"#,
                rules)
        case "tools/call":
            guard
                request.headers.first(name: "Mcp-Name")
                    == MCPHeader.encodeValue(message["params"]?["name"]?.string ?? "")
            else { return .json(Self.error(message, -32020), status: 400) }
            return await call(request, message, rules)
        default: return .json(Self.error(message, -32601), status: 404)
        }
    }

    private func legacy(
        _ request: ScriptedRequest, _ message: JSONValue, _ method: String, _ session: String?, _ rules: Rules
    ) async -> ScriptedResponse {
        if method == "initialize" {
            if session != nil { return .json(Self.error(message, -32600), status: 404) }
            try? await Task.sleep(for: rules.handshakeDelay)
            let id = state.withLock { state in
                state.next += 1
                let id = "session-\(state.next)"
                state.sessions.insert(id)
                return id
            }
            return reply(
                message,
                #"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"},"instructions":"be nice"}"#,
                rules, session: rules.sessionIDs ? id : nil)
        }
        if rules.sessionIDs {
            guard let session else {
                return .json(
                    Self.error(message, -32600), status: 400, headers: [("Mcp-Session-Id", "already-dead")])
            }
            guard state.withLock({ $0.sessions.contains(session) }) else {
                return .json(Self.error(message, -32600), status: rules.unknownSession)
            }
        }
        if message["id"] == nil { return .empty(202) }
        switch method {
        case "tools/list": return reply(message, #"{"tools":\#(rules.tools.text)}"#, rules)
        case "tools/call": return await call(request, message, rules)
        case "ping": return reply(message, "{}", rules)
        default: return .json(Self.error(message, -32601))
        }
    }

    private func call(_ request: ScriptedRequest, _ message: JSONValue, _ rules: Rules) async -> ScriptedResponse {
        state.withLock { $0.executions.append(message["params"]?["name"]?.string ?? "?") }
        if let call = rules.call, let response = await call(request, message) { return response }
        let who = request.headers.first(name: "Cookie") ?? "nobody"
        return reply(message, Self.result(message, who: who), rules)
    }

    /// Says whose call it was and what it was given.
    static func result(_ message: JSONValue, who: String) -> String {
        let arguments = message["params"]?["arguments"]?.text ?? "null"
        return #"{"content":[],"structuredContent":{"who":\#(JSONValue.string(who).text),"arguments":\#(arguments)}}"#
    }

    private func reply(
        _ message: JSONValue, _ result: String, _ rules: Rules, session: String? = nil
    ) -> ScriptedResponse {
        let body = #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),"result":\#(result)}"#
        let headers = session.map { [("Mcp-Session-Id", $0)] } ?? []
        guard rules.events else { return .json(body, headers: headers) }
        let note = #"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#
        return .events(
            [(.zero, "event: message\r\ndata: \(note)\r\n\r\n"), (.zero, "event: message\r\ndata: \(body)\r\n\r\n")],
            headers: headers)
    }

    static func error(_ message: JSONValue, _ code: Int) -> String {
        #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),"error":{"code":\#(code),"message":"no"}}"#
    }
}
