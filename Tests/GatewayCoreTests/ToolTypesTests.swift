import CurlTransport
import JSON
import MCP
import MCPAggregator
import MCPClient
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Types that the server's own tools give.
@Suite struct ToolTypesTests {
    @Test(arguments: [
        ("search_*", "search_any", true), ("search_*", "search_", true), ("search_*", "research_any", false),
        ("*", "anything", true), ("*_any", "search_any", true), ("s*_*y", "search_any", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false), ("echo", "echo", true), ("echo", "Echo", false), ("", "", true), ("", "x", false),
        ("a.c", "abc", false), ("a**c", "ac", true),
    ])
    func aPatternFitsNames(_ pattern: String, _ name: String, _ fits: Bool) {
        #expect(NamePattern(pattern).matches(name) == fits)
    }

    private func types(_ rules: JSONValue, _ tools: [ToolDefinition]) throws -> [ChatTypeConfiguration] {
        let configuration = try TestConfiguration.read([
            "upstreams": ["tools": ["url": "http://127.0.0.1:1/"]],
            "chat": ["defaultType": "own", "types": ["own": ["tool": "x"]], "tools": rules],
        ])
        return ToolTypes.make(configuration.chat, ["tools": ToolCatalog(tools: tools, era: .legacy)])
    }

    @Test func patternsChooseAndConfiguredTypesWin() throws {
        let tools = ["search_a", "search_b", "search_secret", "echo", "own"].map { ToolDefinition(name: $0) }
        let found = try types(["allow": ["search_*", "own"], "deny": ["*secret*"]], tools)
        #expect(found.map(\.name) == ["search_a", "search_b"])
        #expect(try types([:], tools).isEmpty)
        #expect(try types(["allow": ["*"], "limit": 2], tools).map(\.name) == ["search_a", "search_b"])
    }

    @Test func theFieldsAreTheInputSchemas() throws {
        let schema: JSONValue = [
            "type": "object", "required": ["query", "count"],
            "properties": [
                "query": ["type": "string"], "count": ["type": "integer"], "note": ["type": "string"], "type": [:],
            ],
        ]
        let type = try #require(
            types(
                ["allow": ["*"], "timeout": "3s", "reply": ["limit": 5]],
                [ToolDefinition(name: "t", inputSchema: schema)]
            )
            .first)
        #expect(type.arguments.map(\.target) == ["query", "count", "note"])
        #expect(type.arguments.map(\.isRequired) == [true, true, false])
        #expect(type.missing == "Missing query or count")
        #expect(type.timeout == .seconds(3))
        #expect(type.reply.limit == 5)
    }

    @Test func aToolThatCannotDoWithoutTypeIsNone() throws {
        let schema: JSONValue = ["type": "object", "required": ["type"], "properties": ["type": ["type": "string"]]]
        #expect(try types(["allow": ["*"]], [ToolDefinition(name: "t", inputSchema: schema)]).isEmpty)
    }

    private static let tools: JSONValue = [
        FakeToolServer.tool("chat", ["message"]),
        [
            "name": "count_words", "description": "Counts.",
            "inputSchema": [
                "type": "object", "required": ["text", "from"],
                "properties": ["text": ["type": "string"], "from": ["type": "integer"], "deep": ["type": "boolean"]],
            ],
        ],
        FakeToolServer.tool("delete_all", []),
    ]

    @Test func toolsAreServedByTheirNames() async throws {
        let types: JSONObject = [
            "chat": ["tool": "chat", "arguments": ["message": [:]], "reply": ["shape": "wrapped"]]
        ]
        try await Migration.with(
            types: types, chat: ["tools": ["allow": ["count_*", "chat"]]], tools: Self.tools
        ) { (migration) async throws in
            let response = try await migration.chat(#"{"type":"count_words","text":"a b","from":0,"deep":false,"x":1}"#)
            #expect(response.text == #"{"type":"count_words","replies":["new"]}"#)
            #expect(migration.tools.calls.first?.arguments == ["text": "a b", "from": 0, "deep": false])
            let missing = try await migration.chat(#"{"type":"count_words","text":"","from":1}"#)
            #expect(missing.status == 400)
            #expect(missing.text == "Missing text or from")
            let wrong = try await migration.chat(#"{"type":"count_words","text":"a","from":"b"}"#)
            #expect(wrong.status == 400)
            #expect(wrong.json?["error"]?.string?.contains("from") == true)
            #expect(try await migration.chat(#"{"type":"delete_all"}"#).text == "Unknown type: delete_all")
            #expect(try await migration.chat(#"{"message":"x"}"#).status == 200)
            #expect(migration.tools.calls.count == 2)

            let document = try await migration.test.send("GET", "/openapi.json").json
            let schema = document?["components"]?["schemas"]?["Request.count_words"]
            #expect(schema?["required"] == ["type", "text", "from"])
            #expect(schema?["properties"]?["from"]?["type"] == "integer")
            #expect(schema?["description"] == "Counts.")
            let line = #"gateway_requests_total{type="count_words",tool="count_words",status="200",outcome="ok"}"#
            #expect(await eventually { migration.metric(line) == 1 })
        }
    }

    @Test func typesComeAndGoWithTheTools() async throws {
        let listed = Mutex<JSONValue>([FakeToolServer.tool("chat", ["message"])])
        let tools = try await FakeToolServer(other: { request in
            guard let message = try? JSONValue(parsing: Array(request.body.readableBytesView)),
                message["method"] == "tools/list", let id = message["id"]
            else { return nil }
            let list = listed.withLock { $0 }
            return .json(JSONValue.object(["jsonrpc": "2.0", "id": id, "result": ["tools": list]]).text)
        }) { _ in .results("x") }
        let changes: JSONObject = [
            "upstreams": [
                "tools": ["url": .string(tools.url + "/mcp/"), "era": "legacy", "probeInterval": "20ms"]
            ],
            "chat": ["types": ["chat": ["tool": "chat"]], "tools": ["allow": ["*"]]],
        ]
        try await TestGateway.with(tools, changes) { (test) async throws in
            try await tools.waitForTools()
            let payload = #"{"type":"late","a":"x"}"#
            #expect(try await test.chat(payload).text == "Unknown type: late")
            listed.withLock { $0 = [FakeToolServer.tool("chat", ["message"]), FakeToolServer.tool("late", ["a"])] }
            #expect(await eventually { (try? await test.chat(payload).status) == 200 })
            // Its schema has changed: what was right is missing something now.
            listed.withLock { $0 = [FakeToolServer.tool("late", ["a", "b"])] }
            #expect(await eventually { (try? await test.chat(payload).text) == "Missing a or b" })
            listed.withLock { $0 = [] }
            #expect(await eventually { (try? await test.chat(payload).text) == "Unknown type: late" })
        }
    }

    @Test func routesShowThem() throws {
        let configuration = try TestConfiguration.read([
            "upstreams": [
                "tools": ["url": "http://127.0.0.1:1/mcp/"], "old": ["kind": "chat", "url": "http://127.0.0.1:2/api/"],
            ],
            "chat": [
                "defaultType": "a",
                "types": [
                    "a": ["tool": "x", "canary": ["upstream": "old", "percent": 12.5]],
                    "b": ["tool": "y", "shadow": ["upstream": "old"]], "c": ["upstream": "old"],
                ],
                "tools": ["allow": ["t*"], "deny": ["ta*"]], "unknownTypes": ["upstream": "old"],
            ],
        ])
        let offline = GatewayReport.routes(configuration)
        #expect(offline.count == 6)
        #expect(offline[1].contains("12.5% tools http://127.0.0.1:1/mcp/, else old http://127.0.0.1:2/api/"))
        #expect(offline[2].contains("old http://127.0.0.1:2/api/, 100% compared with tools http://127.0.0.1:1/mcp/"))
        #expect(offline[3].contains("old http://127.0.0.1:2/api/"))
        #expect(offline[4].hasPrefix("t* !ta*") && offline[4].hasSuffix("(not reached)"))
        #expect(offline[5].hasPrefix("any other"))
        let catalog = ToolCatalog(tools: [ToolDefinition(name: "tool"), ToolDefinition(name: "tab")], era: .legacy)
        let online = GatewayReport.routes(configuration, catalogs: ["tools": catalog])
        #expect(online.count == 6)
        #expect(online[4].hasPrefix("tool "))
    }
}
