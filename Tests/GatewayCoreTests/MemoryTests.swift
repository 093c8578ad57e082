import CurlTransport
import JSON
import NIOCore
import ProcessMemory
import TestSupport
import Testing

@testable import GatewayCore

/// `limits.memory` over real sockets: what has no room is `overloaded`, and everything drawn goes back.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct MemoryTests {
    private static let limits: JSONObject = ["limits": ["memory": "1MiB"]]

    /// Runs the body against a gateway with a budget of 1 MiB, of which nothing is left in use afterwards.
    private func with(
        _ upstream: FakeToolServer, _ changes: JSONObject = [:], _ body: (TestGateway) async throws -> Void
    ) async throws {
        try await TestGateway.with(upstream, Self.limits.merging(changes)) { (test) async throws in
            await test.waitUntilReady()
            #expect(test.gateway.memory.limit == 1 << 20)
            try await body(test)
            #expect(
                await eventually { test.gateway.memory.statistics.used == 0 }, "\(test.gateway.memory.statistics)")
            // Whoever is small is served throughout.
            #expect(try await test.chat(#"{"type":"search_projects","query":"x"}"#).status == 200)
        }
    }

    private func large(_ kibibytes: Int) -> String {
        #"{"type":"search_projects","query":""# + String(repeating: "x", count: kibibytes << 10) + #""}"#
    }

    @Test func aBodyWithoutRoomIsOverloaded() async throws {
        try await with(try await FakeToolServer { _ in .results([]) }) { test in
            #expect(try await test.chat(large(900)).status == 200)
            let refused = try await test.chat(large(1100))
            #expect(refused.status == 503)
            #expect(refused.headers.first(name: "Retry-After") == "1")
            #expect(refused.json == ["error": "Overloaded"])
            let problem = try await test.chat(large(1100), headers: [("Accept", "application/problem+json")])
            #expect(problem.json?["label"] == "overloaded")
            #expect(problem.json?["executed"] == "no")
        }
    }

    @Test func anAnswerWithoutRoomIsOverloadedAndMayHaveBeenExecuted() async throws {
        let text = String(repeating: "y", count: 2 << 20)
        let upstream = try await FakeToolServer { call in
            .results(call.arguments["query"] == "x" ? [] : [.string(text)])
        }
        try await with(upstream) { test in
            let refused = try await test.chat(
                #"{"type":"search_projects","query":"all"}"#, headers: [("Accept", "application/problem+json")])
            #expect(refused.status == 503)
            #expect(refused.headers.first(name: "Retry-After") == "1")
            #expect(refused.json?["label"] == "overloaded")
            #expect(refused.json?["executed"] == "unknown")
            #expect(test.gateway.memory.statistics.peak <= 1 << 20)
        }
    }

    @Test func anAnswerThatFitsIsDelivered() async throws {
        let text = String(repeating: "y", count: 400 << 10)
        let upstream = try await FakeToolServer { call in
            .results(call.arguments["query"] == "x" ? [] : [.string(text)])
        }
        try await with(upstream) { test in
            let response = try await test.chat(#"{"type":"search_projects","query":"all"}"#)
            #expect(response.json?["replies"] == [.string(text)])
            #expect(test.gateway.memory.statistics.peak >= 400 << 10)
        }
    }

    @Test func aRoutedBackendsAnswerWithoutRoomIsOverloaded() async throws {
        let text = String(repeating: "z", count: 2 << 20)
        let upstream = try await FakeToolServer(other: { request in
            request.path == "/old/api/chat/" ? .json(#"{"replies":["\#(text)"]}"#) : nil
        }) { _ in .results([]) }
        let upstreams: JSONObject = [
            "tools": ["url": .string(upstream.url + "/mcp/"), "era": "legacy", "trusted": true, "retryWindow": "0s"],
            "old": ["kind": "chat", "url": .string(upstream.url + "/old/api/chat/")],
        ]
        var chat = try #require(TestConfiguration.shipped()["chat"]?.object)
        var types = try #require(chat["types"]?.object)
        types["legacy"] = ["upstream": "old"]
        chat["types"] = .object(types)
        try await with(upstream, ["upstreams": .object(upstreams), "chat": .object(chat)]) { (test) async throws in
            #expect(try await test.chat(#"{"type":"legacy"}"#).status == 503)
        }
    }

    @Test func aStreamSlowsDownInsteadOfFailing() async throws {
        let size = 8 << 20
        let upstream = try await FakeToolServer(other: { request in
            guard request.path == "/mcp/big" else { return nil }
            return .whole(status: 200, headers: [], body: ByteBuffer(repeating: 1, count: size))
        }) { _ in .results([]) }
        try await with(upstream) { test in
            var held: MemoryReservation?
            #expect(test.gateway.memory.hold(test.gateway.memory.limit, in: &held))
            let response = try await test.send("GET", "/mcp/big")
            #expect(response.status == 200)
            #expect(response.body.readableBytes == size)
            held = nil
        }
    }

    @Test func aListOfToolsWithoutRoomIsNotDrift() async throws {
        let upstream = try await FakeToolServer(tools: [
            FakeToolServer.tool("search_projects", ["query"]),
            [
                "name": "large", "description": .string(String(repeating: "x", count: 2 << 20)),
                "inputSchema": ["type": "object"],
            ],
        ]) { _ in .results([]) }
        try await TestGateway.with(upstream, Self.limits) { (test) async throws in
            // The upstream is there, although its list is not held.
            await test.waitUntilReady()
            #expect(test.gateway.status.readiness.isReady)
            #expect(try await test.chat(#"{"type":"search_projects","query":"x"}"#).status == 200)
            #expect(test.gateway.memory.statistics.refusals > 0)
        }
    }

    @Test func metricsAndStatusShowTheBudget() async throws {
        try await with(try await FakeToolServer { _ in .results([]) }) { test in
            _ = try await test.chat(large(1100))
            let metrics = try await test.admin("/metrics").text
            #expect(metrics.contains("\ngateway_memory_limit_bytes 1048576\n"))
            #expect(metrics.contains("\ngateway_memory_used_bytes 0\n"))
            #expect(metrics.contains("\ngateway_memory_refusals_total 1\n"))
            let status = try await test.admin("/status/memory").json
            #expect(status == ["limit": 1_048_576, "used": 0, "peak": 0, "refusals": 1])
        }
    }

    @Test func theDefaultIsAShareOfTheMemory() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            #expect(test.gateway.memory.limit >= 32 << 20)
        }
    }
}
