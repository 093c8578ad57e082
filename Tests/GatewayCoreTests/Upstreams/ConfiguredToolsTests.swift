import CurlTransport
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Tools of an HTTP API and of the old chat backend, called by chat types.
@Suite struct ConfiguredToolsTests {
    private static let schema: JSONValue = [
        "type": "object", "properties": ["q": ["type": "string"]], "required": ["q"],
    ]

    /// Runs the body with a gateway whose only upstream is a scripted server with one tool.
    private func with(
        _ kind: String, _ tool: JSONObject, upstream: JSONObject = [:], type: JSONObject = [:],
        changes: JSONObject = [:],
        answer: @escaping @Sendable (ScriptedRequest) async -> ScriptedResponse,
        _ body: (TestGateway, ScriptedHTTPServer) async throws -> Void
    ) async throws {
        let server = try await ScriptedHTTPServer { request in
            request.path == "/base/" ? .empty(404) : await answer(request)
        }
        defer { server.stop() }
        var settings = upstream
        settings["kind"] = .string(kind)
        settings["url"] = .string(server.url + (kind == "chat" ? "/chat" : "/base/"))
        let input: JSONObject = ["inputSchema": Self.schema]
        settings["tools"] = ["find": .object(input.merging(tool))]
        settings["retryWindow"] = nil
        let standard: JSONObject = ["tool": "find", "arguments": ["q": [:]]]
        var all = changes
        var upstreams: JSONObject = ["api": .object(settings)]
        for (name, value) in changes["upstreams"]?.object ?? [:] { upstreams[name] = value }
        all["upstreams"] = .object(upstreams)
        var find = standard.merging(type)
        find["upstream"] = "api"
        all["chat"] = ["defaultType": "find", "types": ["find": .object(find)]]
        if all["passthrough"] == nil { all["passthrough"] = ["enabled": false] }
        let document = try TestConfiguration.document(upstream: "", all)
        try await TestGateway.start { try TestConfiguration.read(document) }.stopped { test in
            try await body(test, server)
        }
    }

    private static let problem: CurlHeaders = [(name: "Accept", value: "application/problem+json")]

    @Test(
        arguments: [
            (#"{"a":1}"#, "application/json", #"[{"a":1}]"#), (#"[1,2,3,4]"#, "application/json", "[1,2,3]"),
            (#"5"#, "application/vnd.x+json; charset=utf-8", "[5]"), ("plain", "text/plain", #"["plain"]"#),
            ("<p>page</p>", "text/html", #"["<p>page</p>"]"#),
        ])
    func aResponseBecomesAResult(_ body: String, _ type: String, _ replies: String) async throws {
        try await with("http", ["path": "/find/{q}", "result": ["limit": 3]]) { _ in
            .whole(status: 200, headers: [("Content-Type", type)], body: ByteBuffer(string: body))
        } _: { (test, server) async throws in
            let response = try await test.chat(#"{"q":"a b"}"#)
            #expect(response.text == #"{"type":"find","replies":\#(replies)}"#)
            #expect(server.requests.contains { $0.method == "GET" && $0.path == "/base/find/a%20b" })
        }
    }

    @Test func aPathChoosesAPartOfTheAnswer() async throws {
        try await with("http", ["path": "/find", "query": ["q": "{q}"], "result": ["path": "data.rows"]]) { _ in
            .json(#"{"data":{"rows":[{"n":1.50}]}}"#)
        } _: { (test, _) async throws in
            #expect(try await test.chat(#"{"q":"x"}"#).text == #"{"type":"find","replies":[{"n":1.50}]}"#)
        }
    }

    @Test(
        arguments: [
            (200, "application/json", "{", 502, "upstream_invalid"), (200, "image/png", "x", 502, "upstream_invalid"),
            (302, "text/plain", "", 502, "upstream_rejected"), (401, "text/plain", "", 502, "upstream_rejected"),
            (403, "text/plain", "", 502, "upstream_rejected"), (429, "text/plain", "", 429, "upstream_rate_limited"),
            (500, "application/json", "{}", 502, "upstream_failed"),
            (404, "application/json", #"{"error":{"message":"No such order"}}"#, 400, "tool_error"),
        ])
    func aFailureHasItsLabel(
        _ status: Int, _ type: String, _ body: String, _ expected: Int, _ label: String
    ) async throws {
        try await with("http", ["path": "/find"]) { _ in
            .whole(
                status: status, headers: [("Content-Type", type), ("Retry-After", "7"), ("Location", "http://h/")],
                body: ByteBuffer(string: body))
        } _: { (test, server) async throws in
            let response = try await test.chat(#"{"q":"x"}"#, headers: Self.problem)
            #expect(response.status == expected)
            #expect(response.json?["label"] == .string(label))
            if status == 404 { #expect(response.json?["detail"] == "No such order") }
            if status == 429 { #expect(response.headers.first(name: "Retry-After") == "7") }
            #expect(server.requests.filter { $0.path == "/base/find" }.count == 1)
        }
    }

    @Test func noContentIsNothing() async throws {
        try await with("http", ["method": "DELETE", "path": "/find"]) { _ in
            .empty(204)
        } _: { (test, _) async throws in
            #expect(try await test.chat(#"{"q":"x"}"#).text == #"{"type":"find","replies":[]}"#)
        }
    }

    @Test(arguments: [true, false]) func onlyAnIdempotentCallIsSentAgain(_ isIdempotent: Bool) async throws {
        let count = Mutex(0)
        let annotations: JSONValue = ["idempotentHint": .bool(isIdempotent)]
        try await with("http", ["method": "POST", "path": "/find", "annotations": annotations]) { _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            return number == 1 ? .closeBeforeResponse : .json("1")
        } _: { (test, _) async throws in
            let response = try await test.chat(#"{"q":"x"}"#, headers: Self.problem)
            #expect(response.status == (isIdempotent ? 200 : 502))
            if !isIdempotent { #expect(response.json?["executed"] == "unknown") }
            #expect(count.withLock { $0 } == (isIdempotent ? 2 : 1))
        }
    }

    @Test func anAPIGetsItsOwnKeyAndNothingOfTheCaller() async throws {
        try await with("http", ["path": "/find"], upstream: ["headers": ["X-Key": "k"]]) { _ in
            .json("1")
        } _: { (test, server) async throws in
            let headers: CurlHeaders = [
                (name: "Authorization", value: "Bearer t"), (name: "Cookie", value: "sessionid=s"),
            ]
            #expect(try await test.chat(#"{"q":"x"}"#, headers: headers).status == 200)
            let sent = try #require(server.requests.first { $0.path == "/base/find" })
            #expect(sent.header("X-Key") == "k")
            #expect(sent.header("Authorization") == nil)
            #expect(sent.header("Cookie") == nil)
        }
    }

    // MARK: The old chat API

    @Test func aToolOfTheOldBackendIsATypedPayload() async throws {
        let tool: JSONObject = ["type": "search", "fields": ["q": "query"]]
        try await with("chat", tool) { _ in
            .json(#"{"type":"search","replies":["a","b"]}"#)
        } _: { (test, server) async throws in
            #expect(try await test.chat(#"{"q":"x"}"#).text == #"{"type":"find","replies":["a","b"]}"#)
            let sent = try #require(server.requests.first { $0.method == "POST" })
            #expect(sent.text == #"{"type":"search","query":"x"}"#)
        }
    }

    @Test func theBackendsErrorIsTheTools() async throws {
        try await with("chat", [:]) { _ in
            .text("Missing query", status: 400)
        } _: { (test, _) async throws in
            let response = try await test.chat(#"{"q":"x"}"#)
            #expect(response.status == 400)
            #expect(response.text == #"{"error":"Missing query"}"#)
        }
    }

    @Test(
        arguments: [["fields": ["q": "type"]], ["inputSchema": ["type": "object", "properties": ["type": [:]]]]]
            as [JSONObject])
    func noArgumentMayBeTheType(_ tool: JSONObject) throws {
        let merged = (["inputSchema": Self.schema] as JSONObject).merging(tool)
        #expect(throws: (any Error).self) { try RequestTemplateTests.configuration(.object(merged), kind: "chat") }
    }

    // MARK: Bounds

    @Test func argumentsBeyondTheirBoundsReachNoAPI() async throws {
        let tool: JSONObject = [
            "path": "/{n}/{day}",
            "inputSchema": [
                "type": "object", "required": ["n", "day"],
                "properties": [
                    "n": ["type": "integer", "minimum": 1, "maximum": 9], "day": ["type": "string", "format": "date"],
                ],
            ],
        ]
        let changes: JSONObject = ["mcp": ["endpoints": ["/mcp/": ["upstreams": ["api": [:]]]]]]
        try await with("http", tool, type: ["arguments": ["n": [:], "day": [:]]], changes: changes) { _ in
            .json("1")
        } _: { (test, server) async throws in
            let fitting = #"{"n":9,"day":"2026-02-28"}"#
            for (arguments, word) in [
                (#"{"n":10,"day":"2026-02-28"}"#, "n: expected at most 9"),
                (#"{"n":9,"day":"2026-02-29"}"#, "day: expected a date"), (#"{"n":9}"#, "'day'"),
                (#"{"n":"9","day":"2026-02-28"}"#, "n: expected integer"),
            ] {
                let chat = try await test.chat(arguments)
                // A field that is missing has the type's own text.
                #expect(chat.status == 400 && (chat.text.contains(word) || word == "'day'"), "\(chat.text)")
                let plain = try await test.send(
                    "POST", "/mcp/find", headers: [(name: "Content-Type", value: "application/json")], body: arguments)
                #expect(plain.text.contains(word), "\(plain.text)")
            }
            #expect(!server.requests.contains { $0.path.hasPrefix("/base/9/") || $0.path.hasPrefix("/base/10/") })
            #expect(try await test.chat(fitting).text == #"{"type":"find","replies":[1]}"#)
            let plain = try await test.send(
                "POST", "/mcp/find", headers: [(name: "Content-Type", value: "application/json")], body: fitting)
            #expect(plain.text == #"{"results":1}"#)
            #expect(server.requests.filter { $0.path == "/base/9/2026-02-28" }.count == 2)
        }
    }

    // MARK: Who calls

    @Test func theAPIIsToldWhoCalls() async throws {
        let people = try await FakeToolServer { call in
            switch call.request.header("Cookie") {
            case "sessionid=ann": .results(["username": "ann", "alias": "A"])
            case "sessionid=away": .response(.empty(500))
            default: .error("Not authenticated")
            }
        }
        defer { people.stop() }
        let changes: JSONObject = [
            "caller": ["upstream": "people"],
            "upstreams": [
                "people": [
                    "url": .string(people.url + "/mcp/"), "trusted": true, "era": "legacy", "probeInterval": "60s",
                ]
            ],
        ]
        let tool: JSONObject = ["path": "/of/{caller.id}", "query": ["name": "{caller.name}"]]
        try await with("http", tool, changes: changes) { _ in
            .json("1")
        } _: { (test, server) async throws in
            func status(_ user: String?) async throws -> Int {
                let headers: CurlHeaders = user.map { [(name: "Cookie", value: "sessionid=\($0)")] } ?? []
                // What the caller says under these names is not believed.
                return try await test.chat(#"{"q":"x","caller.id":"eve"}"#, headers: headers).status
            }
            #expect(try await status("ann") == 200)
            #expect(try await status("ann") == 200)
            #expect(server.requests.filter { $0.path == "/base/of/ann?name=A" }.count == 2)
            #expect(people.calls.count == 1)
            #expect(try await status(nil) == 400)
            #expect(try await status("bob") == 400)
            #expect(try await status("away") == 503)
            #expect(server.requests.filter { $0.path.hasPrefix("/base/of/") }.count == 2)
        }
    }

    @Test func theAPIIsToldWhatTheCallersCredentialSays() async throws {
        let people = try await FakeToolServer { call in
            let person: JSONObject = ["username": "ann", "alias": "A"]
            let facts: JSONObject = ["scopes": ["read", "write"], "claims": ["org": ["tenant": 7]]]
            // Our own tool-server's way, another tool's, and somebody without claims.
            return switch call.request.header("Cookie") {
            case "sessionid=own":
                .result([
                    "content": [], "structuredContent": ["results": .object(person)],
                    "_meta": ["dev.chatgateway/caller": .object(facts)],
                ])
            case "sessionid=other": .results(.object(person.merging(facts)))
            default: .results(.object(person))
            }
        }
        defer { people.stop() }
        let changes: JSONObject = [
            "caller": ["upstream": "people"],
            "upstreams": [
                "people": [
                    "url": .string(people.url + "/mcp/"), "trusted": true, "era": "legacy", "probeInterval": "60s",
                ]
            ],
        ]
        let tool: JSONObject = [
            "path": "/of/{claim:/org/tenant}", "method": "POST", "query": ["scope": "{caller.scopes}"],
            "body": ["who": "{caller.id}", "tenant": "{claim:/org/tenant}"],
        ]
        try await with("http", tool, changes: changes) { request in
            .json(request.text)
        } _: { (test, server) async throws in
            for user in ["own", "other"] {
                let answer = try await test.chat(
                    #"{"q":"x","claim:/org/tenant":8}"#, headers: [(name: "Cookie", value: "sessionid=\(user)")])
                #expect(answer.text == #"{"type":"find","replies":[{"who":"ann","tenant":7}]}"#)
            }
            #expect(server.requests.filter { $0.path == "/base/of/7?scope=read&scope=write" }.count == 2)
            let none = try await test.chat(#"{"q":"x"}"#, headers: [(name: "Cookie", value: "sessionid=none")])
            #expect(none.status == 400 && none.text == #"{"error":"The caller has no claim:/org/tenant"}"#)
            #expect(try await test.chat(#"{"q":"x"}"#).status == 400)
            #expect(server.requests.filter { $0.path.hasPrefix("/base/of/") }.count == 2)
        }
    }

    // MARK: Both ways at once

    @Test(arguments: [0, 100]) func aCanaryStandsBetweenAToolAndAnAPI(_ percent: Int) async throws {
        let tools = try await FakeToolServer { _ in .results("from MCP") }
        defer { tools.stop() }
        let changes: JSONObject = [
            "upstreams": [
                "tools": [
                    "url": .string(tools.url + "/mcp/"), "trusted": true, "era": "legacy", "probeInterval": "60s",
                ]
            ]
        ]
        let canary: JSONValue = [
            "upstream": "tools", "tool": "search_projects", "percent": .number(JSONNumber(percent)),
        ]
        let type: JSONObject = ["canary": canary, "arguments": ["query": ["from": "q"]]]
        let tool: JSONObject = [
            "path": "/find", "inputSchema": ["type": "object", "properties": ["query": ["type": "string"]]],
        ]
        try await with("http", tool, type: type, changes: changes) { _ in
            .json(#""from HTTP""#)
        } _: { (test, _) async throws in
            let text = try await test.chat(#"{"q":"x"}"#).text
            #expect(text == #"{"type":"find","replies":["from \#(percent == 0 ? "MCP" : "HTTP")"]}"#)
        }
    }
}
