import CurlTransport
import Foundation
import JSON
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Requests that two readers would understand in two ways, and other tricks, byte for byte.
@Suite struct SmugglingTests {
    private func with(_ body: (TestGateway, FakeToolServer) async throws -> Void) async throws {
        let upstream = try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? .text("passed") : nil
        }) { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in try await body(test, upstream) }
    }

    private func passed(_ upstream: FakeToolServer) -> [ScriptedRequest] {
        upstream.requests.filter { $0.headers.contains(name: "X-Forwarded-Proto") }
    }

    /// Behind each of these stands a second request that must never be seen.
    @Test(arguments: [
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nXX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\nXX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x1\r\n\r\nX",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\u{0B}chunked\r\n\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nX",
        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", "GET /mcp/ HTTP/1.1\r\n\r\n",
        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\n\tfolded\r\n\r\n", "GET /mcp/ HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n",
        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\nX\u{0}A: b\r\n\r\n",
        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n", "GET /mcp/ HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /mcp/ x HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET\t/mcp/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;\nX\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nX\r\n0\r\n\r\n",
        "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nX\r\n0\r\n\r\n",
    ])
    func anAmbiguousRequestEndsItsConnection(_ request: String) async throws {
        try await with { (test, upstream) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send(request + "GET /mcp/smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            let answer = await client.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer.prefix(60))")
            #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 2, "one answer, then the end")
            #expect(!passed(upstream).contains { $0.path.contains("smuggled") })
        }
    }

    @Test func aForwardedValueCannotBreakOut() async throws {
        try await with { (test, upstream) async throws in
            for header in [
                "Cookie: sessionid=", "Authorization: ", "Accept-Language: ", "Mcp-Session-Id: ", "X-Request-Id: ",
            ] {
                // The line ends as they are; percent-encoded; as other characters that some decoders make line ends of.
                for value in ["a\rX-Evil: 1", "a\nX-Evil: 1", "a\u{0}X-Evil: 1"] {
                    let client = try RawSocketClient(port: test.port)
                    await client.send(
                        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\n\(header)\(value)\r\nConnection: close\r\n\r\n")
                    _ = await client.receiveAll()
                }
                for value in ["a%0d%0aX-Evil: 1", "a\u{85}X-Evil: 1", "a\u{2028}X-Evil: 1", "a\\r\\nX-Evil: 1"] {
                    let client = try RawSocketClient(port: test.port)
                    await client.send(
                        "GET /mcp/ HTTP/1.1\r\nHost: localhost\r\n\(header)\(value)\r\nConnection: close\r\n\r\n")
                    #expect(await client.receiveAll().hasPrefix("HTTP/1.1 "))
                }
            }
            let client = try RawSocketClient(port: test.port)
            await client.send("GET /mcp/?a=%0d%0aX-Evil:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(await client.receiveAll().hasPrefix("HTTP/1.1 200 "))
            for request in passed(upstream) {
                #expect(!request.headers.contains(name: "X-Evil"))
                #expect(!request.headerLines.contains { $0.contains("\n") || $0.contains("\r") })
            }
            #expect(passed(upstream).contains { $0.path == "/mcp/?a=%0d%0aX-Evil:1" })
        }
    }

    @Test func whatTheUpstreamSaysCannotBreakOutEither() async throws {
        let upstream = try await FakeToolServer { _ in
            .response(
                .raw(
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer a\rX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
                    close: true))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let client = try RawSocketClient(port: test.port)
            let body = #"{"type": "search_projects", "query": "x"}"#
            await client.send(
                "POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            let answer = await client.receiveAll()
            #expect(!answer.contains("\rX-Evil") && !answer.contains("\nX-Evil"), "\(answer)")
        }
    }

    @Test(
        arguments: [
            ("/mcp/../admin", 404), ("/mcp/%2e%2e/admin", 404), ("/mcp/.%2e/admin", 404), ("/mcp/%2E%2E%2Fadmin", 404),
            ("/mcp/..;/admin", 404), ("/mcp/..\\admin", 404), ("//mcp/", 404), ("/mcp//admin", 404), ("/mcp/./x", 404),
            ("/mcp/%00", 404), ("/mcp/%0d%0aX", 404), ("/mcp/%c0%ae%c0%ae/x", 200), ("/mcp%2f..%2fadmin", 404),
            ("/MCP/", 404), ("/mcpx", 404), ("/auth", 404), ("/auth/../mcp/", 404), ("/mcp/%252e%252e/x", 404),
            ("/mcp/%", 200), ("/./mcp/", 404), ("/x/../mcp/", 404), ("http://other.localhost/mcp/", 200),
            ("http://other.localhost/mcp/../admin", 404), ("http://other.localhost/x", 404), ("*", 404),
        ] as [(String, Int)])
    func noPathLeavesItsPrefix(_ target: String, _ status: Int) async throws {
        try await with { (test, upstream) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send("GET \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            let answer = await client.receiveAll()
            // What goes through goes to the endpoint of the configured server, whatever the target says.
            #expect([status, 400, 404].contains(Int(answer.dropFirst(9).prefix(3)) ?? 0), "\(answer.prefix(40))")
            if status != 200 { #expect(passed(upstream).isEmpty) }
            for request in passed(upstream) {
                #expect(request.path.hasPrefix("/mcp/") && !request.path.contains(".."))
                #expect(request.header("Host").map { upstream.url.hasSuffix($0) } == true)
            }
        }
    }

    @Test func aRedirectLeadsNowhereElse() async throws {
        let seen = Mutex(0)
        let other = try await ScriptedHTTPServer { _ in
            seen.withLock { $0 += 1 }
            return .json("{}")
        }
        defer { other.stop() }
        let target = other.url
        let upstream = try await FakeToolServer { _ in
            .response(.empty(307, headers: [("Location", target + "/mcp/")]))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(
                #"{"type": "search_projects", "query": "x"}"#, headers: [("Authorization", "Bearer secret")])
            #expect(response.status == 502)
            #expect(seen.withLock { $0 } == 0)
        }
    }

    @Test(arguments: [
        "file:///etc/passwd", "gopher://127.0.0.1:6379/_", "ftp://127.0.0.1/", "dict://127.0.0.1:11211/",
        "//127.0.0.1/",
        "http://user:secret@127.0.0.1/", "http://127.0.0.1/mcp/?x=1", "http://127.0.0.1/#x", "http://127.0.0.1:0x50/",
        "http://a b/", "javascript:alert(1)", "HTTP:/127.0.0.1/", "http://127.0.0.1\r\nX: y/",
    ])
    func anUpstreamIsAnHTTPServer(_ url: String) {
        #expect(UpstreamAddress(url) == nil)
    }

    @Test func aCompressedBodyIsNeverUnpacked() async throws {
        // 10 GB of zeros are some 10 MB of gzip; here it is enough that nobody looks inside.
        let bomb = "\u{1F}\u{8B}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}"
        let upstream = try await FakeToolServer { _ in
            .response(.json(bomb, headers: [("Content-Encoding", "gzip")]))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let sent = try await test.chat(bomb, headers: [("Content-Encoding", "gzip")])
            #expect(sent.status == 415)
            #expect(upstream.calls.isEmpty)
            let received = try await test.chat(#"{"type": "search_projects", "query": "x"}"#)
            #expect(received.status == 502)
            #expect(upstream.calls.first?.request.header("Accept-Encoding") == "identity")
        }
    }
}
