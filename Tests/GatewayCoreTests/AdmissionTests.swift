import CurlTransport
import JSON
import TestSupport
import Testing

@testable import GatewayCore

/// Requests that are slow to come do not take the places of those that are there.
struct AdmissionTests {
    private func echoing() async throws -> FakeToolServer {
        try await FakeToolServer(other: { request in
            request.path.hasSuffix("/upload") ? .json("{}") : nil
        }) { _ in .results("x") }
    }

    private func waiting(_ test: TestGateway, _ head: String) async throws -> RawSocketClient {
        let client = try RawSocketClient(port: test.port)
        await client.send(head)
        return client
    }

    @Test func aBodyThatHasNotComeTakesNoPlace() async throws {
        try await TestGateway.with(try await echoing(), ["limits": ["concurrentRequests": 1]]) { (test) async throws in
            var slow: [RawSocketClient] = []
            for path in ["/api/chat/", "/api/chat/", "/mcp/"] {
                slow.append(
                    try await waiting(test, "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"))
            }
            #expect(await eventually { test.gateway.requestsInFlight == 3 })
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
            withExtendedLifetime(slow) {}
        }
    }

    @Test func streamedBodiesHaveABoundOfTheirOwn() async throws {
        try await TestGateway.with(
            try await echoing(), ["limits": ["concurrentRequests": 1, "uploads": 1]]
        ) { (test) async throws in
            let head =
                "POST /mcp/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            let first = try await waiting(test, head + "1\r\n{\r\n")
            #expect(await eventually { test.gateway.requestsInFlight == 1 })
            let second = try await waiting(test, head)
            #expect(await second.receiveAll().hasPrefix("HTTP/1.1 503 "))
            // Neither takes the place of a call.
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
            await first.send("1\r\n}\r\n0\r\n\r\n")
            #expect(await first.receiveAll().hasPrefix("HTTP/1.1 200 "))
            // The place is free again.
            let third = try await waiting(test, head + "2\r\n{}\r\n0\r\n\r\n")
            #expect(await third.receiveAll().hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func aBodyThatComesTooSlowlyIsATimeout() async throws {
        try await TestGateway.with(
            try await echoing(),
            ["limits": ["bodyTimeout": "20s", "bodyTotal": "50ms"]]
        ) { (test) async throws in
            let client = try await waiting(
                test, "POST /api/chat/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{")
            let response = await client.receiveAll()
            #expect(response.hasPrefix("HTTP/1.1 408 "))
            #expect(response.hasSuffix(#"{"error":"Request timeout"}"#))
        }
    }
}
