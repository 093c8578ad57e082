import CurlTransport
import JSON
import NIOCore
import Observability
import TestSupport
import Testing

@testable import GatewayCore

/// What a request leaves behind: spans, and the trace context that went upstream.
@Suite struct TracingTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func traced(
        _ upstream: FakeToolServer, _ tracing: JSONObject = [:],
        _ body: (TestGateway) async throws -> Void
    ) async throws -> [FakeCollector.Received] {
        let collector = try await FakeCollector()
        defer { collector.server.stop() }
        var section: JSONObject = ["endpoint": .string(collector.url)]
        for (key, value) in tracing { section[key] = value }
        // Stopping flushes.
        try await TestGateway.with(upstream, ["tracing": .object(section)], body)
        return try collector.spans
    }

    @Test func aCallHasAServerSpanAndAClientSpanInTheCallersTrace() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        let spans = try await traced(upstream) { (test) async throws in
            let answer = try await test.chat(
                #"{"type":"search_projects","query":"x"}"#, headers: [("traceparent", Self.parent)])
            #expect(answer.status == 200)
        }
        let server = try #require(spans.first { $0.kind == 2 })
        let client = try #require(spans.first { $0.kind == 3 })
        #expect(spans.count == 2)
        #expect(server.name == "POST chat")
        #expect(server.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(server.parentID == "b7ad6b7169203331")
        #expect(server.attributes["chat.type"]?.string == "search_projects")
        #expect(server.attributes["http.response.status_code"]?.string == "200")
        #expect(server.json["status"] == nil)
        #expect(client.name == "tools/call search_projects")
        #expect(client.traceID == server.traceID)
        #expect(client.parentID == server.spanID)
        #expect(client.attributes["mcp.era"]?.string == "legacy")
        #expect(client.eventNames == ["session", "upstream"])
        #expect(server.resource["service.name"]?.string == "chat-gateway")
        // The upstream's spans hang below the client's, by header and in `_meta`.
        let call = try #require(upstream.calls.first)
        let sent = "00-\(client.traceID)-\(client.spanID)-01"
        #expect(call.request.header("traceparent") == sent)
        let message = try JSONValue(parsing: Array(call.request.body.readableBytesView))
        #expect(message["params"]?["_meta"]?["traceparent"]?.string == sent)
    }

    @Test func aRequestWithoutAParentBeginsATrace() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        let spans = try await traced(upstream) { (test) async throws in
            _ = try await test.chat(#"{"type":"search_projects","query":"x"}"#)
            _ = try await test.send("GET", "/nothing/here")
        }
        #expect(Set(spans.map(\.traceID)).count == 2)
        #expect(spans.filter { $0.kind == 2 }.allSatisfy { $0.parentID == nil })
        #expect(spans.contains { $0.attributes["error.type"]?.string == "not_found" })
    }

    @Test func whatIsNotSampledIsPassedOnAsSuch() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        let collector = try await FakeCollector()
        defer { collector.server.stop() }
        let section: JSONValue = ["endpoint": .string(collector.url), "sampleRatio": 0]
        try await TestGateway.with(upstream, ["tracing": section]) { test in
            _ = try await test.chat(#"{"type":"search_projects","query":"x"}"#)
        }
        #expect(collector.server.requests.isEmpty)
        let sent = try #require(upstream.calls.first?.request.header("traceparent"))
        #expect(sent.hasSuffix("-00"))
    }

    @Test func aFailureOfTheUpstreamIsAnErrorOfBothSpans() async throws {
        let upstream = try await FakeToolServer { _ in .response(.json("{}", status: 500)) }
        let spans = try await traced(upstream) { (test) async throws in
            #expect(try await test.chat(#"{"message":"x"}"#).status == 502)
        }
        #expect(spans.map { $0.json["status"]?["message"]?.string } == ["upstream_failed", "upstream_failed"])
    }

    @Test func thePassThroughIsTracedToo() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        let spans = try await traced(upstream) { (test) async throws in
            let body = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
            #expect(
                try await test.send("POST", "/mcp/", headers: [("traceparent", Self.parent)], body: body).status == 200)
        }
        let client = try #require(spans.first { $0.kind == 3 })
        let listed = upstream.requests.filter { $0.header("traceparent")?.contains(client.spanID) == true }
        #expect(listed.count == 1)
        #expect(client.traceID == "0af7651916cd43dd8448eb211c80319c")
    }

    @Test func stateAndBaggageTravelBesideTheContext() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        try await TestGateway.with(upstream) { test in
            let state: CurlHeaders = [("tracestate", "a=1"), ("Tracestate", "b=2"), ("baggage", "user=\"x\"")]
            var headers: CurlHeaders = [("traceparent", Self.parent)]
            headers.append(contentsOf: state)
            _ = try await test.chat(#"{"type":"search_projects","query":"x"}"#, headers: headers)
            // Without the context they are only headers.
            _ = try await test.chat(#"{"type":"search_projects","query":"x"}"#, headers: state)
        }
        let calls = upstream.calls
        try #require(calls.count == 2)
        let metas = try calls.map { call in
            try JSONValue(parsing: Array(call.request.body.readableBytesView))["params"]?["_meta"]
        }
        #expect(metas[0]?["tracestate"] == "a=1,b=2")
        #expect(metas[0]?["baggage"] == "user=\"x\"")
        #expect(metas[1]?["tracestate"] == nil)
        #expect(calls[1].request.header("baggage") == "user=\"x\"")
    }

    @Test func withoutACollectorTheCallersContextGoesOnUntouched() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        try await TestGateway.with(upstream) { test in
            _ = try await test.chat(
                #"{"type":"search_projects","query":"x"}"#, headers: [("traceparent", Self.parent)])
        }
        #expect(upstream.calls.first?.request.header("traceparent") == Self.parent)
    }
}
