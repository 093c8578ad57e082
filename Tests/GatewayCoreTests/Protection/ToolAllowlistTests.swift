import CurlTransport
import JSON
import JSONConfiguration
import MCPAggregator
import TestSupport
import Testing

@testable import GatewayCore

@Suite struct ToolAllowlistTests {
    @Test(
        arguments: [
            ("echo", "echo", true), ("echo", "echo2", false), ("*", "", true), ("search_*", "search_any", true),
            ("search_*", "research_any", false), ("*_any", "search_any", true), ("s*_*y", "search_any", true),
            ("a*b*c", "abbc", true), ("a*b*c", "acb", false), ("", "", true), ("", "a", false), ("**", "a", true),
            ("Echo", "echo", false),
        ] as [(String, String, Bool)])
    func aStarStandsForAnything(_ pattern: String, _ name: String, _ expected: Bool) {
        #expect(NamePattern(pattern).matches(name) == expected)
    }

    @Test func noPatternIsSlow() {
        // A backtracking matcher would take longer than the universe has time.
        let pattern = NamePattern(String(repeating: "a*", count: 250) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 512)))
    }

    @Test func whatIsDeniedIsDenied() {
        let list = ToolAllowlist(allow: ["search_*", "echo"], deny: ["search_any"])
        #expect(list.allows("search_projects") && list.allows("echo"))
        #expect(!list.allows("search_any") && !list.allows("chat") && !list.allows(""))
        #expect(!ToolAllowlist(allow: ["*"], deny: []).allows(String(repeating: "a", count: 513)))
    }

    // MARK: Over real sockets

    private static let tools: JSONObject = [
        "passthrough": ["tools": ["allow": ["echo", "search_*"], "deny": ["search_any"]]]
    ]

    private func with(
        _ changes: JSONObject = ToolAllowlistTests.tools, _ body: (TestGateway, FakeToolServer) async throws -> Void
    ) async throws {
        let upstream = try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? .text(request.text) : nil
        }) { _ in .results([]) }
        try await TestGateway.with(upstream, changes) { (test) async throws in try await body(test, upstream) }
    }

    private func passed(_ upstream: FakeToolServer) -> Int {
        upstream.requests.count { $0.headers.contains(name: "X-Forwarded-Proto") }
    }

    @Test(arguments: [
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"name":"chat"}}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        #"{"jsonrpc":"2.0","id":1,"result":{"name":"chat"}}"#,
        #"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
        #"{"command":"echo","arguments":{"message":"chat"}}"#, #"{"name":"search_projects","arguments":"{}"}"#, "[]",
        "{}",
    ])
    func whatIsAllowedPassesUnchanged(_ body: String) async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.status == 200)
            #expect(response.text == body)
        }
    }

    @Test(arguments: [
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_any"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"to\u006fls/call","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools/call","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"c\u0068at"}}"#,
        // Some readers ignore the case of keys.
        #"{"jsonrpc":"2.0","id":1,"Method":"tools/call","PARAMS":{"Name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"TOOLS/CALL ","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["echo"]}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"ping","command":"chat"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name":"chat"}}"#,
    ])
    func whatIsHiddenIsAsUnknownAsAnyTool(_ body: String) async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.status == 200)
            #expect(response.contentType == "application/json")
            #expect(response.json?["jsonrpc"] == "2.0")
            #expect(response.json?["id"] == 1)
            #expect(response.json?["error"]?["code"] == -32602)
            if body.contains("search_any") {
                #expect(response.json?["error"]?["message"] == "Unknown tool: search_any")
            }
            #expect(passed(upstream) == 0)
        }
    }

    /// Of two equal keys some readers take the first and some the last, and some ignore the case of keys.
    @Test(arguments: [
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat","name":"echo"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","paramſ":{"name":"chat"},"params":{"name":"echo"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"ping","n\u0061me":7,"m\u0065thod":"ping"}"#,
        #"[{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}]"#,
    ])
    func anAmbiguousMessageIsInvalid(_ body: String) async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.status == 400)
            let message = response.json?.array?.first ?? response.json
            #expect(message?["id"] == 1)
            #expect(message?["error"]?["code"] == -32600)
            #expect(passed(upstream) == 0)
        }
    }

    @Test func anAmbiguousIDIsNone() async throws {
        try await with { (test, upstream) async throws in
            let body = #"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.json?["id"] == .null)
            #expect(response.json?["error"]?["code"] == -32600)
            #expect(passed(upstream) == 0)
        }
    }

    @Test(
        arguments: [
            (#"{"command":"chat"}"#, 404, "Unknown command: chat"),
            (#"{"name":"chat","arguments":{}}"#, 404, "Unknown command: chat"),
            (#"{"command":"echo","name":"chat"}"#, 404, "Unknown command: chat"),
            (#"{"command":7,"name":"echo"}"#, 400, "Invalid params: name: expected a string"),
        ])
    func aHiddenCommandIsUnknown(_ body: String, _ status: Int, _ text: String) async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.status == status)
            #expect(response.json == ["error": .string(text)])
            #expect(passed(upstream) == 0)
        }
    }

    @Test(arguments: [
        #"{"method":"tools/call","params":{"name":"chat"}}"#,
        #"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"chat"}}"#,
    ])
    func aHiddenCallWithoutAnIDHasNoAnswer(_ body: String) async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send("POST", "/mcp/", body: body)
            #expect(response.status == 202)
            #expect(response.body.readableBytes == 0)
            #expect(passed(upstream) == 0)
        }
    }

    @Test(arguments: [
        // No JSON as RFC 8259 has it: what it is to the upstream, nobody can tell.
        "", "chat", "{", #"{"command":"echo"}{"command":"chat"}"#, "\u{FEFF}{}", "\"chat\"", #"[["chat"]]"#,
        #"{"command":"echo",}"#, "\u{1F}\u{8B}\u{8}",
    ])
    func everythingElseIsForbidden(_ body: String) async throws {
        try await with { (test, upstream) async throws in
            let source = CurlBodySource()
            source.write(.init(string: body))
            source.finish()
            let response = try await test.engine.execute(
                CurlRequest(method: "POST", url: test.url("/mcp"), body: .stream(source)))
            #expect(response.status == 403)
            #expect(response.json?["error"]?.string?.isEmpty == false)
            #expect(response.headers.all(name: "Cache-Control") == ["no-store"])
            #expect(passed(upstream) == 0)
        }
    }

    @Test func aBatchIsRefusedAsAWhole() async throws {
        try await with { (test, upstream) async throws in
            let response = try await test.send(
                "POST", "/mcp/",
                body: #"""
                    [{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},
                    {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"chat"}}]
                    """#)
            #expect(response.status == 200)
            #expect(response.json?.array?.map { $0["id"] } == ["a", 2])
            #expect(passed(upstream) == 0)
        }
    }

    @Test(
        arguments: [
            ("POST", "/mcp/echo", 200), ("POST", "/mcp/echo/", 200), ("POST", "/mcp/chat", 404),
            ("POST", "/mcp/c%68at", 404), ("POST", "/mcp/chat/", 404), ("POST", "/mcp/chat/x", 404),
            ("POST", "/mcp/chat;v=1", 404), ("GET", "/mcp/chat", 404), ("PUT", "/mcp/chat", 404),
            ("POST", "/mcp/session/new", 404), ("GET", "/mcp/session/new", 200), ("HEAD", "/mcp/session/new", 200),
            ("GET", "/mcp/", 200), ("DELETE", "/mcp/", 200), ("GET", "/auth/chat", 200),
        ] as [(String, String, Int)])
    func aToolsOwnPathCountsToo(_ method: String, _ path: String, _ status: Int) async throws {
        try await with { (test, upstream) async throws in
            let body = method == "POST" || method == "PUT" ? #"{"name":"chat","command":"chat"}"# : nil
            #expect(try await test.send(method, path, body: body).status == status)
            #expect(passed(upstream) == (status == 200 ? 1 : 0))
        }
    }

    @Test func aCallInTheBodyOfAnotherToolsPathIsSeen() async throws {
        try await with { (test, upstream) async throws in
            let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat"}}"#
            for (method, path) in [("POST", "/mcp/echo"), ("GET", "/mcp/")] {
                let response = try await test.send(method, path, body: call)
                #expect(response.json?["error"]?["code"] == -32602)
            }
            #expect(passed(upstream) == 0)
        }
    }

    @Test func aHeaderThatNamesAnotherToolIsSeen() async throws {
        try await with { (test, upstream) async throws in
            let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#
            for name in ["chat", "=?base64?Y2hhdA==?="] {
                let headers: CurlHeaders = [("Mcp-Method", "tools/call"), ("Mcp-Name", name)]
                let response = try await test.send("POST", "/mcp/", headers: headers, body: call)
                #expect(response.status == 200)
                #expect(response.json?["error"]?["message"] == "Unknown tool: chat")
                #expect(response.json?["id"] == 1)
            }
            #expect(passed(upstream) == 0)
            let headers: CurlHeaders = [("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")]
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: call).status == 200)
        }
    }

    @Test func listsNameWhatIsAllowedAlone() async throws {
        let list =
            #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"chat"},{"name":"echo","x": 1.0},{"name":"search_any"}],"n":1}}"#
        let upstream = try await FakeToolServer(other: { request in
            guard request.headers.contains(name: "X-Forwarded-Proto") else { return nil }
            return request.headers["Accept"].contains("text/event-stream")
                ? .text("id: 7\ndata: \(list)\n\n: quiet\n\n", headers: [("Content-Type", "text/event-stream")])
                : .json(list)
        }) { _ in .results([]) }
        let expected = #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo","x": 1.0}],"n":1}}"#
        try await TestGateway.with(upstream, Self.tools) { (test) async throws in
            let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
            #expect(try await test.send("POST", "/mcp/", body: call).text == expected)
            let events = try await test.send(
                "POST", "/mcp/", headers: [("Accept", "text/event-stream")], body: call)
            #expect(events.text == "id: 7\ndata: \(expected)\n\n: quiet\n\n")
            // Only what was asked for a list is held back.
            let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
            #expect(try await test.send("POST", "/mcp/", body: ping).text == list)
        }
    }

    @Test func aBodyTooLargeToLookAtIsRefused() async throws {
        var changes = Self.tools
        changes["limits"] = ["body": 100_000]
        try await with(changes) { (test, upstream) async throws in
            let padding = String(repeating: " ", count: 100_000)
            let call = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"# + padding
            #expect(try await test.send("POST", "/mcp/", body: call).status == 413)
            let source = CurlBodySource()
            source.write(.init(string: call))
            source.finish()
            let response = try await test.engine.execute(
                CurlRequest(method: "POST", url: test.url("/mcp/"), body: .stream(source)))
            #expect(response.status == 413)
            #expect(passed(upstream) == 0)
        }
    }

    @Test func theTypesOfTheGatewayAreNotConcerned() async throws {
        try await with { (test, _) async throws in
            #expect(try await test.chat(#"{"message": "hello"}"#).status == 200)
        }
    }

    @Test func withoutAListEverythingPasses() async throws {
        try await with([:]) { (test, upstream) async throws in
            #expect(try await test.send("POST", "/mcp/", body: "chat").text == "chat")
        }
    }
}

/// What the gateway itself asks of a caller, and what its answers say to browsers.
@Suite struct AccessTests {
    @Test func aTypeMayAskForACredential() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        var chat = try #require(TestConfiguration.shipped()["chat"]?.object)
        var types = try #require(chat["types"]?.object)
        var search = try #require(types["search_projects"]?.object)
        search["access"] = "authenticated"
        types["search_projects"] = .object(search)
        chat["types"] = .object(types)
        try await TestGateway.with(upstream, ["chat": .object(chat)]) { (test) async throws in
            let body = #"{"type": "search_projects", "query": "x"}"#
            let refused = try await test.chat(body, headers: [("Cookie", "theme=dark")])
            #expect(refused.status == 401)
            #expect(refused.json == ["error": "Not authenticated"])
            #expect(refused.headers.all(name: "WWW-Authenticate") == ["Bearer"])
            #expect(upstream.calls.isEmpty)
            #expect(try await test.chat(body, headers: [("Cookie", "sessionid=a")]).status == 200)
            #expect(try await test.chat(body, headers: [("Authorization", "Bearer a")]).status == 200)
            #expect(try await test.chat(#"{"type": "search_any", "model": "a", "query": "x"}"#).status == 200)
        }
    }

    @Test func answersAreKeptByNobodyAndTakenForWhatTheyAre() async throws {
        let upstream = try await FakeToolServer(other: { request in
            switch request.path {
            case "/auth/me": .json("{}")
            case "/auth/keys": .json("{}", headers: [("Cache-Control", "public, max-age=60")])
            default: nil
            }
        }) { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            let events = try await test.chat(
                #"{"type": "search_projects", "query": "x"}"#, headers: [("Accept", "text/event-stream")])
            let responses = [
                try await test.chat(#"{"type": "search_projects", "query": "x"}"#), try await test.chat("{"),
                try await test.chat(#"{"type": "<script>"}"#), try await test.send("GET", "/api/chat/"), events,
                try await test.send("GET", "/auth/me"), try await test.send("GET", "/nothing"),
            ]
            for response in responses {
                #expect(response.headers.all(name: "Cache-Control") == ["no-store"], "\(response.status)")
                #expect(response.headers.all(name: "X-Content-Type-Options") == ["nosniff"], "\(response.status)")
            }
            for response in responses where response.status >= 400 {
                let policy = response.headers.first(name: "Content-Security-Policy") ?? ""
                #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"))
                #expect(response.headers.first(name: "Referrer-Policy") == "no-referrer")
            }
            // The upstream knows better what may be kept.
            let keys = try await test.send("GET", "/auth/keys")
            #expect(keys.headers.all(name: "Cache-Control") == ["public, max-age=60"])
            let page = try await test.send("GET", "/")
            #expect(page.headers.first(name: "Content-Security-Policy")?.contains("frame-ancestors") == true)
        }
    }
}
