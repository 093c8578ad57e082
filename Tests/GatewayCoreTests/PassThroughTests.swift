import CurlTransport
import JSON
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import GatewayCore

/// `/mcp`, `/mcp/…` and `/auth/…` over real sockets.
@Suite struct PassThroughTests {
    /// An upstream whose pass-through requests are answered by `other`; its MCP side only answers the gateway's checks.
    private func upstream(
        _ other: @escaping @Sendable (ScriptedRequest) async -> ScriptedResponse
    ) async throws -> FakeToolServer {
        try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? await other(request) : nil
        }) { _ in .results([]) }
    }

    private func passed(_ upstream: FakeToolServer) -> [ScriptedRequest] {
        upstream.requests.filter { $0.headers.contains(name: "X-Forwarded-Proto") }
    }

    @Test(arguments: ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
    func anyMethodPasses(_ method: String) async throws {
        let upstream = try await upstream { .text("\($0.method) \($0.path) \($0.text)", status: 418) }
        try await TestGateway.with(upstream) { (test) async throws in
            let body = method == "POST" || method == "PUT" ? "body" : nil
            let response = try await test.send(method, "/mcp/a?b=c&d", body: body)
            #expect(response.status == 418)
            #expect(response.text == "\(method) /mcp/a?b=c&d \(body ?? "")")
        }
    }

    @Test func aHeadPasses() async throws {
        let upstream = try await upstream { _ in
            .raw("HTTP/1.1 200 OK\r\nMcp-Session-Id: s\r\nContent-Length: 5\r\n\r\n", close: false)
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("HEAD", "/mcp/session/new")
            #expect(response.status == 200)
            #expect(response.headers.first(name: "Mcp-Session-Id") == "s")
            #expect(response.headers.first(name: "Content-Length") == "5")
        }
    }

    @Test func theRightHeadersGoUp() async throws {
        let upstream = try await upstream { _ in .empty(202) }
        try await TestGateway.with(upstream) { (test) async throws in
            let headers: CurlHeaders = [
                ("Mcp-Session-Id", "s"), ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Param-Model", "m"),
                ("Last-Event-ID", "7"), ("Accept", "application/json, text/event-stream"),
                ("Content-Type", "application/json"), ("Authorization", "Bearer t"), ("Cookie", "a=1; sessionid=x"),
                ("Accept-Language", "pl"), ("X-Other", "no"), ("Keep-Alive", "5"), ("TE", "trailers"),
                ("X-Request-Id", "id-1"), ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"),
                ("Connection", "X-Nominated, Mcp-Nominated"), ("Mcp-Nominated", "no"), ("Host", "app.localhost"),
            ]
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: "{}").status == 202)
            let request = try #require(passed(upstream).first).headers
            for name in [
                "Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Param-Model", "Last-Event-ID", "Accept", "Content-Type",
            ] {
                #expect(request[name] == [headers.first(name: name) ?? ""], "\(name)")
            }
            #expect(request["Authorization"] == ["Bearer t"])
            #expect(request["Cookie"] == ["sessionid=x"])
            #expect(request["Accept-Language"] == ["pl"])
            #expect(request["X-Request-Id"] == ["id-1"])
            #expect(request["X-Forwarded-For"] == ["192.0.2.1, 127.0.0.1"])
            #expect(request["X-Forwarded-Proto"] == ["https"])
            #expect(request["X-Forwarded-Host"] == ["app.localhost"])
            for name in ["X-Other", "Keep-Alive", "TE", "Mcp-Nominated", "X-Nominated"] {
                #expect(request[name] == [], "\(name)")
            }
        }
    }

    @Test func anUntrustedPeersWordAboutItselfDoesNotCount() async throws {
        let upstream = try await upstream { _ in .empty(202) }
        try await TestGateway.with(upstream, ["trustedProxies": ["10.0.0.0/8"]]) { (test) async throws in
            let headers: CurlHeaders = [
                ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil"),
            ]
            _ = try await test.send("GET", "/mcp/", headers: headers)
            let request = try #require(passed(upstream).first).headers
            #expect(request["X-Forwarded-For"] == ["127.0.0.1"])
            #expect(request["X-Forwarded-Proto"] == ["http"])
            #expect(request["X-Forwarded-Host"] == ["127.0.0.1:\(test.port)"])
        }
    }

    @Test func refusedCredentialsAreCountedByRouteAndReason() async throws {
        let upstream = try await upstream { .empty($0.path.hasPrefix("/auth/") ? 401 : 403) }
        try await TestGateway.with(upstream) { (test) async throws in
            for _ in 0..<2 { #expect(try await test.send("POST", "/auth/login", body: "{}").status == 401) }
            #expect(try await test.send("GET", "/mcp/").status == 403)
            let foreign: CurlHeaders = [("Cookie", "sessionid=x"), ("Origin", "https://evil.example")]
            #expect(try await test.chat(#"{"message":"x"}"#, headers: foreign).status == 403)
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
            let lines = try await test.admin("/metrics").text.split(separator: "\n").filter {
                $0.hasPrefix("gateway_refused_credentials_total")
            }
            #expect(
                Set(lines) == [
                    #"gateway_refused_credentials_total{route="auth",reason="unauthorized"} 2"#,
                    #"gateway_refused_credentials_total{route="mcp",reason="forbidden"} 1"#,
                    #"gateway_refused_credentials_total{route="chat",reason="forbidden_origin"} 1"#,
                ])
        }
    }

    @Test func everythingEndToEndComesDown() async throws {
        let upstream = try await upstream { _ in
            .json(
                "{}", status: 401,
                headers: [
                    ("WWW-Authenticate", "Bearer a"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                    ("Retry-After", "3"),
                    ("ETag", "\"x\""), ("Connection", "X-Hop"), ("X-Hop", "no"), ("Keep-Alive", "timeout=5"),
                    ("X-Other", "yes"),
                ])
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("GET", "/auth/me")
            #expect(response.status == 401)
            #expect(response.headers.all(name: "Set-Cookie") == ["a=1", "b=2"])
            #expect(response.headers.first(name: "WWW-Authenticate") == "Bearer a")
            #expect(response.headers.first(name: "Retry-After") == "3")
            #expect(response.headers.first(name: "ETag") == "\"x\"")
            #expect(response.headers.first(name: "X-Other") == "yes")
            #expect(!response.headers.contains(name: "X-Hop"))
            #expect(response.headers.first(name: "Keep-Alive") != "timeout=5")
            #expect(response.headers.all(name: "X-Request-Id").count == 1)
            #expect(response.headers.all(name: "Content-Type") == ["application/json"])
        }
    }

    @Test func aRedirectToTheUpstreamLeadsToTheGateway() async throws {
        let upstream = try await upstream { request in
            .empty(307, headers: [("Location", "http://\(request.headers.first(name: "Host") ?? "")/mcp")])
        }
        try await TestGateway.with(upstream) { (test) async throws in
            #expect(try await test.send("POST", "/mcp/", body: "{}").headers.first(name: "Location") == "/mcp")
        }
    }

    @Test(arguments: [
        "/mcp/../admin", "/mcp/%2e%2e/admin", "/mcp//x", "/mcp/a%2fb", "/mcp/..%5cx", "/auth/../mcp/",
        "/mcp/%252e%252e/x",
    ])
    func aTrickDoesNotLeaveThePrefix(_ path: String) async throws {
        let upstream = try await upstream { _ in .text("reached") }
        try await TestGateway.with(upstream) { (test) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(await client.receiveAll().hasPrefix("HTTP/1.1 404 "))
            #expect(passed(upstream).isEmpty)
        }
    }

    @Test func anEventStreamIsNotHeldBack() async throws {
        let upstream = try await upstream { _ in
            .events([(.zero, "data: 1\n\n"), (.seconds(30), "data: 2\n\n")])
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.engine.stream(
                CurlRequest(
                    url: test.url("/mcp/"), headers: [("Accept", "text/event-stream")], timeout: .zero, mode: .streaming
                ))
            #expect(response.headers.first(name: "X-Accel-Buffering") == "no")
            var iterator = response.body.makeAsyncIterator()
            let first = try #require(try await iterator.next())
            #expect(String(buffer: first) == "data: 1\n\n")
        }
    }

    @Test func aClientThatLeavesClosesTheUpstreamsStream() async throws {
        let upstream = try await upstream { _ in
            .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                while true {
                    try await writer.write(": beat\n\n")
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let request = CurlRequest(url: test.url("/mcp/"), timeout: .zero, mode: .streaming)
            let response = try await test.engine.stream(request)
            let task = Task { for try await _ in response.body {} }
            try await Task.sleep(for: .milliseconds(20))
            task.cancel()
            _ = await task.result
            try await upstream.waitUntil { $0.abandonedResponses > 0 }
        }
    }

    @Test func aSlowClientSlowsTheUpstreamDown() async throws {
        let total = 64 << 20
        let upstream = try await upstream { _ in
            .produce(status: 200, headers: []) { writer in
                let chunk = ByteBuffer(repeating: 0x78, count: 65_536)
                for _ in 0..<(total / 65_536) { try await writer.write(chunk) }
            }
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send("GET /mcp/big HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await client.receive { $0.contains("\r\n\r\n") }
            // The sockets' buffers and the gateway's windows fill up, then nothing moves.
            var sent = -1
            _ = await eventually(every: .milliseconds(100)) {
                let now = upstream.bytesSent
                defer { sent = now }
                return now == sent
            }
            #expect(sent < total / 2, "\(sent) bytes are under way")
        }
    }

    @Test func aLargeBodyIsStreamedUp() async throws {
        let upstream = try await upstream { .text("\($0.body.readableBytes)") }
        try await TestGateway.with(upstream) { (test) async throws in
            let body = String(repeating: "x", count: 2_000_000)
            #expect(try await test.send("POST", "/mcp/", body: body).text == "2000000")
            let source = CurlBodySource()
            for _ in 0..<20 { source.write(ByteBuffer(repeating: 0x78, count: 50_000)) }
            source.finish()
            let response = try await test.engine.execute(
                CurlRequest(method: "POST", url: test.url("/mcp/"), body: .stream(source)))
            #expect(response.text == "1000000")
        }
    }

    @Test func aBodyOverTheLimitIsRefused() async throws {
        let upstream = try await upstream { .text("\($0.body.readableBytes)") }
        try await TestGateway.with(upstream, ["limits": ["body": 200_000]]) { (test) async throws in
            #expect(try await test.send("POST", "/mcp/", body: String(repeating: "x", count: 200_001)).status == 413)
            let source = CurlBodySource()
            for _ in 0..<5 { source.write(ByteBuffer(repeating: 0x78, count: 50_000)) }
            source.finish()
            let response = try await test.engine.execute(
                CurlRequest(method: "POST", url: test.url("/mcp/"), body: .stream(source)))
            #expect(response.status == 413)
        }
    }

    @Test func aForeignPageMayNotReachTheTools() async throws {
        let upstream = try await upstream { _ in .text("ok") }
        try await TestGateway.with(upstream) { (test) async throws in
            let foreign = try await test.send(
                "POST", "/mcp/", headers: [("Origin", "https://evil.example")], body: "{}")
            #expect(foreign.status == 403)
            #expect(foreign.json == ["error": "Origin not allowed"])
            let own = "http://127.0.0.1:\(test.port)"
            #expect(try await test.send("POST", "/mcp/", headers: [("Origin", own)], body: "{}").status == 200)
        }
    }

    @Test func nobodyListeningIs502() async throws {
        let upstream = try await upstream { _ in .text("ok") }
        try await TestGateway.with(upstream) { (test) async throws in
            try await upstream.stopAndWait()
            let response = try await test.send("GET", "/mcp/")
            #expect(response.status == 502)
            #expect(response.json == ["error": "MCP error"])
        }
    }

    @Test func aResponseThatBreaksOffIsSeenToBreakOff() async throws {
        let upstream = try await upstream { _ in .closeMidBody() }
        try await TestGateway.with(upstream) { (test) async throws in
            await #expect(throws: CurlError.self) { try await test.send("GET", "/mcp/") }
        }
    }

    @Test func thePassThroughCanBeTurnedOff() async throws {
        let upstream = try await upstream { _ in .text("ok") }
        try await TestGateway.with(upstream, ["passthrough": ["enabled": false]]) { (test) async throws in
            #expect(try await test.send("POST", "/mcp/", body: "{}").status == 404)
        }
    }
}
