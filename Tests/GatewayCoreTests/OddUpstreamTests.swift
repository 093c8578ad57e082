import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// Upstreams that break HTTP's rules, behind the pass-through and as an old backend: the gateway goes on.
@Suite struct OddUpstreamTests {
    static let heads = [
        "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/2 -50\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n{}",
    ]

    private func upstream(_ answer: ScriptedResponse) async throws -> FakeToolServer {
        try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? answer : nil
        }) { _ in .results([]) }
    }

    @Test(arguments: heads) func anUnreadableHeadIsABadGateway(_ head: String) async throws {
        let upstream = try await upstream(.raw(head, close: true))
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("GET", "/mcp/")
            #expect(response.status == 502)
            #expect(response.text == #"{"error": "MCP error"}"# || response.text == #"{"error":"MCP error"}"#)
            #expect(try await test.send("GET", "/nowhere").status == 404, "the gateway is there")
        }
    }

    @Test func headersThatAreNoneAreDropped() async throws {
        let head =
            "HTTP/1.1 200 OK\r\nX-Good: 1\r\nX-\u{E9}: 2\r\nHTTP/a: b\r\nX Y: 3\r\nX-Value: \u{E9}\r\n"
            + "Content-Length: 2\r\n\r\n{}"
        let upstream = try await upstream(.raw(head, close: true))
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("GET", "/mcp/")
            #expect(response.status == 200)
            #expect(response.text == "{}")
            #expect(response.headers.first(name: "X-Good") == "1")
            #expect(response.headers.first(name: "X-Value") == "\u{E9}")
            #expect(!response.headers.contains { $0.name.contains(" ") || $0.name.contains("/") })
        }
    }
}
