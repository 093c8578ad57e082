import CurlTransport
import JSON
import MCP
import TestSupport
import Testing

@testable import GatewayCore

/// What operators see of an endpoint.
@Suite struct EndpointMetricsTests {
    private func with(
        _ tools: [JSONValue], _ answer: @escaping @Sendable (FakeToolServer.Call) async -> FakeToolServer.Answer,
        _ body: (TestGateway, FakeToolServer) async throws -> Void
    ) async throws {
        let server = try await FakeToolServer(tools: .array(tools), answer)
        var document = try #require(TestConfiguration.document(upstream: server.url).object)
        document["upstreams"] = [
            "crm": [
                "url": .string(server.url + "/mcp/"), "trusted": true, "retryWindow": "0s", "probeInterval": "20ms",
            ],
            "away": ["url": "http://127.0.0.1:1/mcp/", "retryWindow": "0s", "connectTimeout": "100ms"],
        ]
        document["chat"] = ["types": [:]]
        document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["crm": ["prefix": "crm_"], "away": [:]]]]]
        let read = JSONValue.object(document)
        defer { server.stop() }
        try await TestGateway.start { try TestConfiguration.read(read) }.stopped { test in try await body(test, server)
        }
    }

    private func requests(_ method: String, _ outcome: String, upstream: String = "crm") -> String {
        #"gateway_endpoint_requests_total{endpoint="/mcp/",upstream="\#(upstream)",method="\#(method)",outcome="\#(outcome)"}"#
    }

    @Test func requestsAreCountedByUpstreamMethodAndOutcome() async throws {
        let tools = [ChangingTools.tool("find"), ChangingTools.tool("fail"), ChangingTools.tool("break")]
        try await with(
            tools,
            { call in
                switch call.tool {
                case "fail": .error("refused")
                case "break": .response(.json("{}", status: 500))
                default: .results("found")
                }
            }
        ) { (test, _) async throws in
            #expect(try await test.callTool("crm_find") == "found")
            #expect(try await test.callTool("crm_find") == "found")
            _ = try await test.callTool("crm_fail")
            #expect(try await test.callTool("crm_break") == "MCP error")
            #expect(try await test.callTool("crm_nothing") == "Unknown tool: crm_nothing")
            #expect(test.sample(requests("tools/call", "ok")) == 2)
            #expect(test.sample(requests("tools/call", "tool_error")) == 1)
            #expect(test.sample(requests("tools/call", "upstream_failed")) == 1)
            #expect((test.sample(requests("tools/list", "ok")) ?? 0) >= 1)
            let durations =
                #"gateway_endpoint_request_duration_seconds_count{endpoint="/mcp/",upstream="crm",method="tools/call"}"#
            #expect(test.sample(durations) == 4)
            #expect(test.sample(#"gateway_endpoint_requests_in_flight{endpoint="/mcp/"}"#) == 0)
        }
    }

    /// What clients send is no label.
    @Test func noNameOfAClientBecomesALabel() async throws {
        try await with([ChangingTools.tool("find")], { _ in .results("found") }) { (test, _) async throws in
            for index in 0..<50 {
                _ = try await test.callTool("made_up_\(index)")
                _ = try await test.mcp("made/up\(index)")
                _ = try await test.mcp(MCPMethod.resourcesRead, ["uri": .string("test://\(index)")])
            }
            #expect(!test.metrics.exposition().contains("made"))
            #expect(!test.metrics.exposition().contains("test://"))
        }
    }

    @Test func theStateIsShownWithUpstreamsAndTools() async throws {
        try await with([ChangingTools.tool("find")], { _ in .results("found") }) { (test, _) async throws in
            let session = try #require(
                try await test.send("GET", "/mcp/session/new").headers.first(name: "Mcp-Session-Id"))
            let found = try await eventually {
                try await test.admin("/status/endpoints").json?["endpoints"]?[0]?["upstreams"]?[0]?["tools"]
                    == ["crm_find"]
            }
            #expect(found)
            let endpoint = try await test.admin("/status/endpoints").json?["endpoints"]?[0]
            #expect(endpoint?["path"] == "/mcp/" && endpoint?["sessions"] == 1 && endpoint?["heldQuestions"] == 0)
            #expect(endpoint?["upstreams"]?[0]?["name"] == "crm" && endpoint?["upstreams"]?[0]?["problem"] == .null)
            #expect(endpoint?["upstreams"]?[1]?["name"] == "away" && endpoint?["upstreams"]?[1]?["tools"] == [])
            #expect(endpoint?["upstreams"]?[1]?["problem"]?.string?.hasPrefix("upstream_unreachable") == true)
            #expect(test.sample(#"gateway_endpoint_sessions{endpoint="/mcp/"}"#) == 1)
            #expect(test.sample(#"gateway_endpoint_tools{endpoint="/mcp/",upstream="crm"}"#) == 1)
            #expect(try await test.send("GET", "/status/endpoints").status == 404)
            _ = try await test.send("DELETE", "/mcp/", headers: [(name: "Mcp-Session-Id", value: session)])
            #expect(test.sample(#"gateway_endpoint_sessions{endpoint="/mcp/"}"#) == 0)
        }
    }

    @Test func startsOfAStdioServerAreCounted() async throws {
        var document = try #require(TestConfiguration.document(upstream: "http://unused").object)
        document["upstreams"] = ["brief": ["command": "true", "probeInterval": "20ms"]]
        document["chat"] = ["types": [:]]
        document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["brief": [:]]]]]
        let read = JSONValue.object(document)
        try await TestGateway.start { try TestConfiguration.read(read) }.stopped { test in
            #expect(await eventually { (test.sample(#"gateway_stdio_restarts_total{upstream="brief"}"#) ?? 0) >= 1 })
            #expect(await eventually { test.sample(#"gateway_stdio_processes{upstream="brief"}"#) == 0 })
        }
    }
}
