import CurlTransport
import JSON
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

extension EndToEnd {
    /// `/mcp/` and `/auth/` through the gateway, as an MCP client and a browser use them.
    @Suite struct PassThrough {
        let stack: RunningStack
        let client: HTTPTestClient

        init() throws {
            stack = try RunningStack.current
            client = stack.gateway.client
        }

        static let tools: Set<String> = [
            "echo", "search_projects", "search_any", "get_user_info", "ai_prompt", "chat", "chat_history",
        ]

        @Test func aLegacyClientInitializesListsAndCalls() async throws {
            var mcp = MCPTestClient(client)
            let server = try await mcp.initialize()
            #expect(server["protocolVersion"]?.string == MCPTestClient.legacyVersion)
            #expect(server["serverInfo"]?["name"]?.string != nil)
            let listed = try await mcp.result("tools/list", id: "list-1")["tools"]?.array ?? []
            #expect(Self.tools.isSubset(of: listed.compactMap { $0["name"]?.string }))
            let result = try await mcp.result(
                "tools/call", id: 3, params: ["name": "echo", "arguments": ["message": "Hello"]])
            #expect(result["structuredContent"] == ["Echo": "Hello"])
            #expect(result["content"]?[0]?["type"] == "text")
            let ended = try await client.send("DELETE", "/mcp/", headers: mcp.headers)
            #expect((200...204).contains(ended.status))
            let after = try await mcp.post("tools/list", id: 4, params: [:])
            #expect(after.status == 404)
        }

        @Test func aModernClientDiscoversAndCallsWithoutASession() async throws {
            let mcp = MCPTestClient(client)
            let server = try await mcp.modernResult("server/discover", id: 1)
            #expect(server["supportedVersions"]?.array?.contains(.string(MCPTestClient.modernVersion)) == true)
            let result = try await mcp.modernResult(
                "tools/call", id: 2, name: "search_projects",
                params: ["name": "search_projects", "arguments": ["query": "urgent"]])
            #expect(result["resultType"] == "complete")
            let names = try #require(result["structuredContent"]?["results"]?.array)
            #expect(names.contains("Urgent Q2"))
        }

        @Test func aRequestWithoutASessionIsRefusedWithItsOwnId() async throws {
            let answer = try await MCPTestClient(client).post("tools/list", id: "mine", params: [:])
            #expect(answer.status == 400)
            #expect(
                try answer.json == [
                    "jsonrpc": "2.0", "id": "mine",
                    "error": ["code": -32600, "message": "Bad Request: Missing session ID"],
                ])
        }

        @Test func theLoginCookieReachesTheTools() async throws {
            let cookie = try await stack.session(of: "alice")
            var mcp = MCPTestClient(client, headers: [("Cookie", "theme=dark; sessionid=\(cookie)")])
            _ = try await mcp.initialize()
            let result = try await mcp.result("tools/call", id: 2, params: ["name": "get_user_info", "arguments": [:]])
            #expect(result["structuredContent"]?["results"] == ["username": "alice", "alias": "Al"])
        }

        @Test func eventsPassOneByOne() async throws {
            let upstream = try await ScriptedHTTPServer { request in
                guard request.path.hasPrefix("/mcp") else { return .empty(404) }
                return .events([
                    (.zero, "data: 1\n\n"), (.milliseconds(400), "data: 2\n\n"),
                    (.milliseconds(400), "data: 3\n\n"),
                ])
            }
            defer { upstream.stop() }
            let gateway = try await RunningService.gateway(upstream: upstream.url + "/mcp/")
            let response = try await gateway.client.stream(
                "GET", "/mcp/", headers: [("Accept", "text/event-stream"), ("Last-Event-ID", "7")])
            #expect(response.status == 200)
            var arrivals: [ContinuousClock.Instant] = []
            var text = ""
            for try await chunk in response.body {
                arrivals.append(.now)
                text += String(buffer: chunk)
            }
            #expect(text == "data: 1\n\ndata: 2\n\ndata: 3\n\n")
            #expect(try #require(arrivals.last) - arrivals[0] > .milliseconds(600), "buffered: \(arrivals.count)")
            let seen = try #require(upstream.requests.last { $0.method == "GET" })
            #expect(seen.headers.first(name: "Last-Event-ID") == "7")
            try await gateway.stop()
        }

        @Test func loginGivesACookieThatTheTypesAccept() async throws {
            let name = "login\(UInt32.random(in: 0 ... .max))"
            try await stack.addUser(name, alias: "Lou", password: "correct horse battery")
            let refused = try await client.post(
                "/auth/login", json: ["username": .string(name), "password": "wrong"])
            #expect((400...403).contains(refused.status))
            #expect(refused.cookie("sessionid") == nil)

            let login = try await client.post(
                "/auth/login", json: ["username": .string(name), "password": "correct horse battery"])
            #expect((200...204).contains(login.status))
            let field = try #require(login.header("Set-Cookie"))
            #expect(field.contains("HttpOnly") && field.contains("SameSite=Lax"))
            let cookie = try #require(login.cookie("sessionid"))
            let user = try await client.chat(["type": "get_user_info"], cookie: cookie)
            #expect(user.replies == [["username": .string(name), "alias": "Lou"]])

            let logout = try await client.send("POST", "/auth/logout", headers: [("Cookie", "sessionid=\(cookie)")])
            #expect((200...204).contains(logout.status))
            let after = try await client.chat(["type": "get_user_info"], cookie: cookie)
            #expect(after.errorText == "Not authenticated")
        }

        @Test(arguments: ["command", "name"])
        func theOldCommandDialectStillAnswers(_ key: String) async throws {
            let arguments: [JSONValue] = [["query": "urgent"], #"{"query":"urgent"}"#]
            for argument in key == "command" ? Array(arguments.prefix(1)) : arguments {
                let answer = try await client.post(
                    "/mcp/", json: .object([key: "search_projects", "arguments": argument]))
                #expect(answer.status == 200)
                #expect(try #require(answer.json["results"]?.array).contains("Urgent Q2"))
            }
        }

        @Test func theOldCommandDialectReportsErrorsAsItDid() async throws {
            let tool = try await client.post(
                "/mcp/", json: ["command": "search_any", "arguments": ["model": "planets", "query": "x"]])
            #expect(tool.status == 200)
            #expect(tool.errorText == "Unknown model")
            let unknown = try await client.post("/mcp/", json: ["command": "nothing", "arguments": [:]])
            #expect(unknown.status == 404)
            #expect(unknown.errorText != nil)
            let bad = try await client.post("/mcp/", json: ["command": "search_projects", "arguments": ["query": 7]])
            #expect(bad.status == 400)
            #expect(bad.errorText != nil)
        }

        @Test func aToolIsAPlainEndpointToo() async throws {
            let answer = try await client.post("/mcp/echo", #"{"message":"Hello"}"#)
            #expect(answer.status == 200)
            #expect(try answer.json == ["Echo": "Hello"])
        }

        @Test(arguments: ["GET", "HEAD"])
        func aSessionCanBeBootstrappedWithoutAMessage(_ method: String) async throws {
            let answer = try await client.send(method, "/mcp/session/new")
            #expect((200...204).contains(answer.status))
            let session = try #require(answer.header("Mcp-Session-Id"))
            let mcp = MCPTestClient(client, headers: [("Mcp-Session-Id", session)])
            let result = try await mcp.result(
                "tools/call", id: 1, params: ["name": "echo", "arguments": ["message": "Hi"]])
            #expect(result["structuredContent"] == ["Echo": "Hi"])
        }
    }
}
