import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

@Suite struct AdminTests {
    private func upstream() async throws -> FakeToolServer { try await FakeToolServer { _ in .results("x") } }

    @Test func healthAndVersionNeedNoUpstream() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            #expect(try await test.admin("/healthz").json == ["status": "ok"])
            #expect(try await test.admin("/version").json?["version"]?.string == GatewayVersion.number)
            #expect(try await test.admin("/nope").status == 404)
            let post = try await test.engine.execute(
                CurlRequest(method: "POST", url: "http://127.0.0.1:\(test.adminPort)/healthz", body: ByteBuffer()))
            #expect(post.status == 405)
        }
    }

    @Test func readinessFollowsTheUpstream() async throws {
        let upstream = try await upstream()
        let changes: JSONObject = [
            "upstreams": [
                "tools": [
                    "url": .string(upstream.url + "/mcp/"), "era": "legacy", "probeInterval": "20ms",
                    "retryWindow": "0s",
                ]
            ]
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            #expect(await eventually { (try? await test.admin("/readyz").status) == 200 })
            let ready = try await test.admin("/readyz").json
            #expect(ready?["status"] == "ready")
            #expect(ready?["config_version"] == 1)
            #expect(ready?["upstreams"]?["tools"]?["drift"] == [])
            upstream.stop()
            #expect(await eventually { (try? await test.admin("/readyz").status) == 503 })
            let down = try await test.admin("/readyz").json
            #expect(down?["reasons"] == ["no upstream can be reached"])
            // It says what was tried.
            let isNamed = await eventually {
                let problem = try? await test.admin("/readyz").json?["upstreams"]?["tools"]?["problem"]?.string
                return problem?.contains("127.0.0.1 port ") == true
            }
            #expect(isNamed)
            try await upstream.restart()
            #expect(await eventually { (try? await test.admin("/readyz").status) == 200 })
        }
    }

    @Test func driftIsReportedAndChangesNothing() async throws {
        let tools: JSONValue = [FakeToolServer.tool("chat", ["message", "model"])]
        let upstream = try await FakeToolServer(tools: tools) { _ in .results("x") }
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            let response = try await test.admin("/readyz")
            #expect(response.status == 200)
            let drift = response.json?["upstreams"]?["tools"]?["drift"]?.array ?? []
            #expect(
                drift.compactMap { $0["kind"]?.string }.sorted()
                    == Array(repeating: "missing_tool", count: 5) + ["unfilled_argument"])
        }
    }

    @Test func metricsCountByTypeAndOutcome() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            await test.waitUntilReady()
            _ = try await test.chat(#"{"message":"x"}"#)
            _ = try await test.chat(#"{"type":"search_any"}"#)
            _ = try await test.chat(#"{"type":"made up"}"#)
            _ = try await test.send("GET", "/made/up")
            let response = try await test.admin("/metrics")
            #expect(response.contentType == "text/plain; version=0.0.4; charset=utf-8")
            let lines = Set(response.text.split(separator: "\n").map(String.init))
            for line in [
                #"gateway_requests_total{type="chat",tool="chat",status="200",outcome="ok"} 1"#,
                #"gateway_requests_total{type="chat",tool="",status="400",outcome="missing_field"} 1"#,
                #"gateway_requests_total{type="chat",tool="",status="400",outcome="unknown_type"} 1"#,
                #"gateway_requests_total{type="other",tool="",status="404",outcome="not_found"} 1"#,
                #"gateway_upstream_reachable{upstream="tools"} 1"#, "gateway_configuration_version 1",
            ] { #expect(lines.contains(line), "\(line)") }
            #expect(!response.text.contains("made up"))
            #expect(response.text.contains("gateway_upstream_phase_seconds_count{type=\"chat\",phase=\"upstream\"} 1"))
            #expect(response.text.contains("gateway_sessions{upstream=\"tools\"}"))
        }
    }

    @Test func openAPIDescribesTheTypes() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            await test.waitUntilReady()
            let document = try #require(try await test.send("GET", "/openapi.json").json)
            #expect(document["openapi"] == "3.1.0")
            let schema = document["components"]?["schemas"]?["Request.ai_prompt"]
            #expect(schema?["properties"]?["message"]?["type"] == "string")
            #expect(schema?["required"] == ["type", "message"])
            #expect(document["components"]?["schemas"]?["Request.chat"]?["required"] == ["message"])
            let responses = document["paths"]?["/api/chat/"]?["post"]?["responses"]?.object?.keys ?? []
            #expect(Set(["200", "400", "405", "413", "502", "504"]).isSubset(of: Set(responses)))
            #expect(try await test.send("POST", "/openapi.json", body: "{}").status == 404)
        }
    }

    @Test func theAdminListenerCanBeOff() async throws {
        try await TestGateway.with(upstream(), ["admin": "off"]) { (test) async throws in
            #expect(test.adminPort == 0)
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
        }
    }
}
