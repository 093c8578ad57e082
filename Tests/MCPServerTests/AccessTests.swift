import JSON
import MCP
import Testing

@testable import MCPServer

@Suite("Access rules")
struct AccessTests {
    private static let reader = Principal(id: "3", name: "reader", scopes: ["records:read", "other"])
    private static let cookie = Principal(id: "4", name: "cookie", hasAllScopes: true, isCookie: true)

    @Test("a rule refuses who lacks a name or a scope")
    func refusals() {
        let scoped = AccessRule(scopes: ["records:read", "records:list"])
        #expect(AccessRule.anyone.refusal(of: nil) == nil)
        #expect(AccessRule(needsUser: true).refusal(of: nil) == .notAuthenticated(scopes: []))
        #expect(AccessRule(needsUser: true).refusal(of: alice) == nil)
        #expect(scoped.needsUser)
        #expect(scoped.refusal(of: nil) == .notAuthenticated(scopes: ["records:read", "records:list"]))
        #expect(scoped.refusal(of: Self.reader) == .insufficientScope(needed: ["records:read", "records:list"]))
        #expect(AccessRule(scopes: ["records:read"]).refusal(of: Self.reader) == nil)
        #expect(scoped.refusal(of: Self.cookie) == nil)
    }

    /// `find` needs a scope, `whoami` a user; so do the prompt and the resources.
    private func fixture(challenge: Bool) throws -> Fixture {
        var configuration = StreamableHTTPConfiguration(tick: .zero)
        if challenge {
            configuration.challenge = { refusal in
                switch refusal {
                case .notAuthenticated: "Bearer"
                case .insufficientScope(let needed): "Bearer scope=\(needed)"
                }
            }
        }
        let fixture = try Fixture(configuration: configuration)
        let done: @Sendable (JSONObject, ToolContext) async throws -> CallToolResult = { _, _ in
            CallToolResult(content: [.text("done")])
        }
        try fixture.server.register(
            tool: ScriptedTool("find", body: done), access: AccessRule(scopes: ["records:read"]))
        try fixture.server.register(tool: ScriptedTool("whoami", body: done), access: AccessRule(needsUser: true))
        fixture.server.register(prompt: Secret(), access: AccessRule(scopes: ["records:read"]))
        fixture.server.register(resources: Vault())
        return fixture
    }

    private struct Secret: PromptProvider {
        var definition: Prompt { Prompt(name: "secret", arguments: [PromptArgument(name: "name")]) }
        func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
            GetPromptResult(messages: [PromptMessage(role: .user, content: .text("secret"))])
        }
    }

    private struct Vault: ResourceProvider {
        var templates: [ResourceTemplate] { [ResourceTemplate(uriTemplate: "vault://{id}", name: "vault")] }
        func access(to uri: String) -> AccessRule? {
            uri.hasPrefix("vault://") ? AccessRule(scopes: ["records:read"]) : nil
        }
        func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage {
            ResourcePage([Resource(uri: "vault://1", name: "one")])
        }
        func read(_ uri: String, context: ToolContext) async throws -> ReadResourceResult? {
            guard uri == "vault://1" else { return nil }
            return ReadResourceResult(contents: [ResourceContents(uri: uri, mimeType: "text/plain", text: "gold")])
        }
    }

    @Test("lists show what the caller may use", arguments: [nil, alice, reader, cookie] as [Principal?])
    func lists(principal: Principal?) async throws {
        let fixture = try fixture(challenge: true)
        let mayRead = principal == Self.reader || principal == Self.cookie
        func names(_ method: String, _ list: String, _ key: String = "name") async throws -> [String] {
            let reply = try await fixture.modern(method, principal: principal)
            return reply.result[list]?.array?.compactMap { $0[key]?.string } ?? []
        }
        let tools = ["echo"] + (mayRead ? ["find"] : []) + (principal != nil ? ["whoami"] : [])
        #expect(try await names("tools/list", "tools") == tools)
        #expect(try await names("prompts/list", "prompts") == ["greet"] + (mayRead ? ["secret"] : []))
        let templates = try await names("resources/templates/list", "resourceTemplates", "uriTemplate")
        #expect(templates == ["test://{id}"] + (mayRead ? ["vault://{id}"] : []))
        var cursor: JSONValue?
        var uris: [String] = []
        repeat {
            var params: JSONObject = [:]
            params["cursor"] = cursor
            let page = try await fixture.modern("resources/list", params, principal: principal).result
            uris += page["resources"]?.array?.compactMap { $0["uri"]?.string } ?? []
            cursor = page["nextCursor"]
        } while cursor != nil
        #expect(uris.contains("vault://1") == mayRead)
        #expect(uris.contains("test://2"))
    }

    private static let requests: [(String, JSONObject)] = [
        ("tools/call", ["name": "find"]), ("prompts/get", ["name": "secret"]), ("resources/read", ["uri": "vault://1"]),
        (
            "completion/complete",
            ["ref": ["type": "ref/prompt", "name": "secret"], "argument": ["name": "name", "value": ""]]
        ),
        (
            "completion/complete",
            ["ref": ["type": "ref/resource", "uri": "vault://{id}"], "argument": ["name": "name", "value": ""]]
        ),
    ]

    @Test("a request without the scope is 403 and says which, in both eras", arguments: requests)
    func insufficient(method: String, params: JSONObject) async throws {
        let fixture = try fixture(challenge: true)
        let modern = try await fixture.modern(method, params, principal: alice)
        let client = try await fixture.initialize(.v2025_11_25, principal: alice)
        let legacy = try await Reply(await client.start(method, params))
        for reply in [modern, legacy] {
            #expect(reply.status == 403)
            #expect(reply.headers.contains { $0 == ("WWW-Authenticate", #"Bearer scope=["records:read"]"#) })
            #expect(reply.last["error"]?["message"] == "Insufficient scope: records:read needed")
        }
        #expect(try await fixture.modern(method, params, principal: Self.reader).status == 200)
        #expect(try await fixture.modern(method, params, principal: Self.cookie).status == 200)
        let anonymous = try await fixture.modern(method, params)
        #expect(anonymous.status == 401)
        #expect(anonymous.headers.contains { $0 == ("WWW-Authenticate", "Bearer") })
    }

    @Test("where no token would help, a refused call is the tool's error and the rest JSON-RPC errors")
    func withoutChallenge() async throws {
        let fixture = try fixture(challenge: false)
        let call = try await fixture.modern("tools/call", ["name": "whoami"])
        #expect(call.status == 200)
        #expect(call.result["isError"] == true)
        #expect(call.result["content"]?[0]?["text"] == "Not authenticated")
        #expect(call.result["_meta"]?["dev.chatgateway/status"] == 401)
        let read = try await fixture.modern("resources/read", ["uri": "vault://1"])
        #expect(read.last["error"]?["message"] == "Not authenticated")
        #expect(read.code == -32600)
    }

    @Test("a batch runs what is allowed and refuses the rest")
    func batch() async throws {
        let fixture = try fixture(challenge: true)
        let client = try await fixture.initialize(.v2025_03_26, principal: alice)
        let calls = JSONValue.array([
            JSONRPCRequest(id: 5, method: "tools/call", params: ["name": "find"]).json,
            JSONRPCRequest(id: 6, method: "tools/call", params: ["name": "whoami"]).json,
            JSONRPCRequest(id: 7, method: "resources/read", params: ["uri": "vault://1"]).json,
        ])
        let reply = try await Reply(await fixture.post(calls, headers: client.headers, principal: alice))
        let answers = reply.messages.flatMap { $0.array ?? [$0] }
        func answer(_ id: Int) -> JSONValue? { answers.first { $0["id"]?.int == id } }
        #expect(answer(5)?["result"]?["content"]?[0]?["text"] == "Insufficient scope: records:read needed")
        #expect(answer(6)?["result"]?["content"]?[0]?["text"] == "done")
        #expect(answer(7)?["error"]?["message"] == "Insufficient scope: records:read needed")
    }

    @Test("over stdio a refusal is an error that says why")
    func stdio() async throws {
        let client = StdioClient(try fixture(challenge: true).server)
        try await client.initialize(.v2025_11_25)
        try client.send(JSONRPCRequest(id: 2, method: "tools/call", params: ["name": "find"]).json)
        #expect(try await client.receive()["result"]?["content"]?[0]?["text"] == "Not authenticated")
        try client.send(JSONRPCRequest(id: 3, method: "prompts/get", params: ["name": "secret"]).json)
        #expect(try await client.receive()["error"]?["message"] == "Not authenticated")
        _ = try await client.end()
    }

    @Test("calls that do not come over MCP, and calls of tools, are bound too")
    func nested() async throws {
        let fixture = try fixture(challenge: true)
        await #expect(throws: AccessError.insufficientScope(needed: ["records:read"])) {
            try await fixture.server.call(tool: "find", arguments: [:], principal: alice)
        }
        let server = fixture.server
        try server.register(
            tool: ScriptedTool("outer") { [weak server] _, context in
                do {
                    return try await server!.call(tool: "find", arguments: [:], within: context)
                } catch let refusal as AccessError {
                    throw ToolError("\(refusal)")
                }
            })
        let outer = try await server.call(tool: "outer", arguments: [:], principal: alice)
        #expect(outer.text == "Insufficient scope: records:read needed")
        #expect(try await server.call(tool: "outer", arguments: [:], principal: Self.reader).text == "done")
    }
}
