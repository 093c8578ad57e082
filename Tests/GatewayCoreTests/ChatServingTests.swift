import CurlTransport
import JSON
import NIOCore
import NIOHTTP1
import Observability
import TestSupport
import Testing

@testable import GatewayCore

/// `POST /api/chat/` over real sockets, in front of a fake MCP server.
@Suite struct ChatServingTests {
    private func echoing() async throws -> FakeToolServer {
        try await FakeToolServer { .results(.string("Echo: \($0.arguments["message"]?.string ?? "")")) }
    }

    @Test(arguments: ["/api/chat/", "/api/chat", "/api/chat/?type=nope"])
    func aPayloadIsAnswered(_ path: String) async throws {
        try await TestGateway.with(echoing()) { (test) async throws in
            let response = try await test.send("POST", path, body: #"{"message":"hello"}"#)
            #expect(response.status == 200)
            #expect(response.contentType == "application/json")
            #expect(response.text == #"{"type":"chat","replies":["Echo: hello"]}"#)
        }
    }

    @Test func onlyTheToolsArgumentsAndCredentialsGoUpstream() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            let headers: CurlHeaders = [
                ("Cookie", "a=1; sessionid=secret; b=2"), ("Authorization", "Bearer t"), ("Accept-Language", "pl"),
                ("X-Other", "no"), ("Host", "app.localhost"),
            ]
            let body = #"{"type":"search_any","model":"m","query":"q","bogus":1,"arguments":{"model":"x"}}"#
            #expect(try await test.chat(body, headers: headers).status == 200)
            let call = try #require(upstream.calls.first)
            #expect(call.arguments == ["model": "m", "query": "q"])
            #expect(call.request.headers["Cookie"] == ["sessionid=secret"])
            #expect(call.request.headers["Authorization"] == ["Bearer t"])
            #expect(call.request.headers["Accept-Language"] == ["pl"])
            #expect(call.request.headers["X-Other"] == [])
        }
    }

    @Test(arguments: [("abc-1", ["abc-1"]), ("a b", []), (nil, [])] as [(String?, [String])])
    func aSaneRequestIdOfTheCallerGoesUpstream(id: String?, sent: [String]) async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            let headers: CurlHeaders = id.map { [("X-Request-Id", $0)] } ?? []
            let response = try await test.chat(#"{"message":"x"}"#, headers: headers)
            #expect(upstream.calls.first?.request.headers["X-Request-Id"] == sent)
            #expect((response.headers.first(name: "X-Request-Id") == id) == !sent.isEmpty)
        }
    }

    @Test func theUpstreamsCookiesComeBack() async throws {
        let upstream = try await FakeToolServer { call in
            let message: JSONValue = [
                "jsonrpc": "2.0", "id": call.id, "result": ["structuredContent": ["results": "x"]],
            ]
            return .response(.json(message.text, headers: [("Set-Cookie", "sessionid=new; HttpOnly")]))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#)
            #expect(response.headers.all(name: "Set-Cookie") == ["sessionid=new; HttpOnly"])
        }
    }

    @Test func everyResponseHasItsIdentifierAndItsTimes() async throws {
        try await TestGateway.with(echoing()) { (test) async throws in
            let ok = try await test.chat(#"{"message":"x"}"#, headers: [("X-Request-Id", "abc-1")])
            #expect(ok.headers.all(name: "X-Request-Id") == ["abc-1"])
            let timing = try #require(ok.headers.first(name: "Server-Timing"))
            #expect(
                timing.contains("session;dur=") && timing.contains("upstream;dur=") && timing.contains("total;dur="))
            let bad = try await test.chat("{", headers: [("X-Request-Id", "not sane")])
            #expect(bad.headers.first(name: "X-Request-Id")?.count == 32)
            #expect(
                bad.headers.first(name: "Server-Timing")?.hasPrefix("session;dur=0.000, upstream;dur=0.000, total;dur=")
                    == true)
            let missing = try await test.send("GET", "/nope")
            #expect(missing.headers.contains(name: "X-Request-Id"))
            #expect(missing.status == 404)
        }
    }

    @Test func theTimesCanBeTurnedOff() async throws {
        try await TestGateway.with(echoing(), ["serverTiming": false]) { (test) async throws in
            #expect(try await !test.chat(#"{"message":"x"}"#).headers.contains(name: "Server-Timing"))
        }
    }

    @Test(arguments: ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
    func anotherMethodIsRefused(_ method: String) async throws {
        try await TestGateway.with(echoing()) { (test) async throws in
            let response = try await test.send(method, "/api/chat/", body: method == "PUT" ? "{}" : nil)
            #expect(response.status == 405)
            #expect(response.headers.all(name: "Allow") == ["POST"])
            #expect(response.contentType == "text/plain; charset=utf-8")
            #expect(response.text == "")
        }
    }

    @Test func aBodyOverTheLimitIsRefused() async throws {
        try await TestGateway.with(echoing(), ["limits": ["body": 100]]) { (test) async throws in
            let body = "{\"message\":\"" + String(repeating: "x", count: 100) + "\"}"
            let response = try await test.chat(body)
            #expect(response.status == 413)
            #expect(response.json == ["error": "Request body too large"])
            let source = CurlBodySource()
            source.write(ByteBuffer(string: body))
            source.finish()
            let chunked = try await test.engine.execute(
                CurlRequest(method: "POST", url: test.url("/api/chat/"), body: .stream(source)))
            #expect(chunked.status == 413)
        }
    }

    @Test func aHeadOverTheLimitIsRefused() async throws {
        try await TestGateway.with(echoing(), ["limits": ["headerBytes": 1024]]) { (test) async throws in
            let headers: CurlHeaders = [("X-Long", String(repeating: "x", count: 2000))]
            let response = try await test.chat("{}", headers: headers)
            #expect(response.status == 431)
            #expect(response.json == ["error": "Request headers too large"])
        }
    }

    @Test func aRequestThatNeverEndsTimesOut() async throws {
        try await TestGateway.with(echoing(), ["limits": ["headerTimeout": "50ms", "bodyTimeout": "50ms"]]) {
            (test) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send("POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            let response = await client.receiveAll()
            #expect(response.hasPrefix("HTTP/1.1 408 "))
            #expect(response.hasSuffix(#"{"error":"Request timeout"}"#))
        }
    }

    @Test func aForeignPageMayNotUseAVisitorsCookies() async throws {
        try await TestGateway.with(echoing(), ["allowedOrigins": ["https://ok.example"]]) { (test) async throws in
            func status(_ headers: CurlHeaders) async throws -> Int {
                try await test.chat(#"{"message":"x"}"#, headers: headers).status
            }
            let cookie = ("Cookie", "other=1")
            #expect(try await status([cookie, ("Origin", "https://evil.example")]) == 403)
            #expect(try await status([cookie, ("Origin", "null")]) == 403)
            #expect(try await status([cookie, ("Origin", "https://ok.example")]) == 200)
            #expect(try await status([cookie, ("Origin", "http://127.0.0.1:\(test.port)")]) == 200)
            #expect(try await status([cookie]) == 200)
            #expect(try await status([("Origin", "https://evil.example")]) == 403)
        }
    }

    @Test func anEncodedBodyIsToldSo() async throws {
        try await TestGateway.with(echoing()) { (test) async throws in
            let response = try await test.chat("\u{1F}\u{8B}", headers: [("Content-Encoding", "gzip")])
            #expect(response.status == 415)
            #expect(response.json == ["error": "Encoded bodies are not supported"])
            #expect(response.headers.all(name: "Accept-Encoding") == ["identity"])
            // What can be read is read.
            let plain: CurlHeaders = [("Content-Encoding", "gzip")]
            #expect(try await test.chat(#"{"message":"x"}"#, headers: plain).status == 200)
            #expect(try await test.chat("{", headers: [("Content-Encoding", "identity")]).status == 400)
        }
    }

    @Test func argumentsAreCheckedAgainstTheLiveTool() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            let response = try await test.chat(#"{"type":"search_projects","query":5}"#)
            #expect(response.status == 400)
            #expect(response.json == ["error": "query: expected string, found number"])
            #expect(upstream.calls.isEmpty)
        }
    }

    @Test func aViolationNamesThePayloadsField() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        let chat: JSONValue = [
            "defaultType": "t",
            "types": ["t": ["tool": "ai_prompt", "arguments": ["prompt": ["from": "message"]]]],
        ]
        try await TestGateway.with(upstream, ["chat": chat]) { (test) async throws in
            await test.waitUntilReady()
            let response = try await test.chat(#"{"message":[1]}"#)
            #expect(response.json == ["error": "message: expected string, found array"])
        }
    }

    // MARK: The upstream's failures

    struct Failure: Sendable, CustomTestStringConvertible {
        let name: String
        let answer: FakeToolServer.Answer
        let status: Int
        let label: String
        var executed = "unknown"
        var text = "MCP error"
        var header: (name: String, value: String)?
        /// Only what waits for the end of the time has a short one.
        var timeout: String { status == 504 ? "300ms" : "20s" }
        var testDescription: String { name }
    }

    static let failures: [Failure] = [
        Failure(
            name: "401", answer: .response(.empty(401, headers: [("WWW-Authenticate", "Bearer x")])), status: 401,
            label: "unauthorized", executed: "no", text: "Unauthorized", header: ("WWW-Authenticate", "Bearer x")),
        Failure(
            name: "403", answer: .response(.empty(403)), status: 403, label: "forbidden", executed: "no",
            text: "Forbidden"),
        Failure(
            name: "429", answer: .response(.empty(429, headers: [("Retry-After", "9")])), status: 429,
            label: "upstream_rate_limited", executed: "no", text: "Too many requests", header: ("Retry-After", "9")),
        Failure(name: "413", answer: .response(.empty(413)), status: 502, label: "upstream_rejected", executed: "no"),
        Failure(name: "503", answer: .response(.empty(503)), status: 502, label: "upstream_failed"),
        Failure(name: "HTML", answer: .response(.json("<html>")), status: 502, label: "upstream_invalid"),
        Failure(name: "array", answer: .response(.json("[]")), status: 502, label: "upstream_invalid"),
        Failure(
            name: "no result", answer: .response(.json(#"{"jsonrpc":"2.0","id":1}"#)), status: 502,
            label: "upstream_invalid"),
        Failure(name: "mid-body", answer: .response(.closeMidBody()), status: 502, label: "upstream_unreachable"),
        Failure(name: "close", answer: .response(.closeBeforeResponse), status: 502, label: "upstream_unreachable"),
        Failure(name: "hang", answer: .response(.hang), status: 504, label: "upstream_timeout"),
    ]

    /// The shipped `chat`, with another timeout.
    private func chat(timeout: String) -> JSONValue {
        [
            "defaultType": "chat",
            "types": [
                "chat": [
                    "tool": "chat", "arguments": ["message": ["trim": true]], "timeout": .string(timeout),
                    "reply": ["shape": "wrapped"],
                ]
            ],
        ]
    }

    @Test(arguments: failures) func anUpstreamsFailureHasItsRow(_ failure: Failure) async throws {
        let upstream = try await FakeToolServer { _ in failure.answer }
        try await TestGateway.with(upstream, ["chat": chat(timeout: failure.timeout)]) { (test) async throws in
            let plain = try await test.chat(#"{"message":"x"}"#)
            #expect(plain.status == failure.status)
            #expect(plain.json == ["error": .string(failure.text)])
            if let header = failure.header { #expect(plain.headers.all(name: header.name) == [header.value]) }
            let problem = try await test.chat(#"{"message":"x"}"#, headers: [("Accept", "application/problem+json")])
            #expect(problem.status == failure.status)
            #expect(problem.contentType == "application/problem+json")
            #expect(problem.json?["label"]?.string == failure.label)
            #expect(problem.json?["executed"]?.string == failure.executed)
        }
    }

    @Test(arguments: failures.filter { $0.status == 502 || $0.status == 504 })
    func theLegacyStyleAnswers500(_ failure: Failure) async throws {
        let upstream = try await FakeToolServer { _ in failure.answer }
        try await TestGateway.with(upstream, ["chat": chat(timeout: failure.timeout), "errors": "legacy"]) {
            (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#)
            #expect(response.status == 500)
            #expect(response.json == ["error": "MCP error"])
        }
    }

    @Test func aJSONRPCErrorIsARejection() async throws {
        let upstream = try await FakeToolServer { call in
            let message: JSONValue = ["jsonrpc": "2.0", "id": call.id, "error": ["code": -32603, "message": "secret"]]
            return .response(.json(message.text))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: [("Accept", "application/problem+json")])
            #expect(response.status == 502)
            #expect(response.json?["label"]?.string == "upstream_rejected")
            #expect(!response.text.contains("secret"))
        }
    }

    @Test func nobodyListeningIsUnreachableAndNotExecuted() async throws {
        let upstream = try await echoing()
        try await TestGateway.with(upstream) { (test) async throws in
            try await upstream.stopAndWait()
            let response = try await test.chat(#"{"message":"x"}"#, headers: [("Accept", "application/problem+json")])
            #expect(response.status == 502)
            #expect(response.json?["label"]?.string == "upstream_unreachable")
            #expect(response.json?["executed"]?.string == "no")
        }
    }

    @Test func aToolsErrorKeepsItsTextAndCookies() async throws {
        let upstream = try await FakeToolServer { _ in .error("quota & <b>limit</b>") }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#)
            #expect(response.status == 400)
            #expect(response.json == ["error": "quota & <b>limit</b>"])
            let problem = try await test.chat(#"{"message":"x"}"#, headers: [("Accept", "application/problem+json")])
            #expect(problem.json?["executed"]?.string == "yes")
        }
    }

    @Test func moreRequestsThanAllowedAreRefused() async throws {
        let gate = AsyncStream<Void>.makeStream()
        let upstream = try await FakeToolServer { _ in
            for await _ in gate.stream { break }
            return .results("x")
        }
        try await TestGateway.with(upstream, ["limits": ["concurrentRequests": 1]]) { (test) async throws in
            async let first = test.chat(#"{"message":"x"}"#)
            #expect(await eventually { !upstream.calls.isEmpty })
            let second = try await test.chat(#"{"message":"x"}"#)
            #expect(second.status == 503)
            #expect(second.headers.first(name: "Retry-After") == "1")
            #expect(second.json == ["error": "Overloaded"])
            gate.continuation.finish()
            #expect(try await first.status == 200)
            // The place is free again.
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
        }
    }

    @Test func aClientThatLeavesCancelsTheCall() async throws {
        let upstream = try await FakeToolServer { _ in .response(.hang) }
        try await TestGateway.with(upstream) { (test) async throws in
            try await leave(test, upstream)
            #expect(await eventually { !upstream.calls.isEmpty })
            let id = try #require(upstream.calls.first?.id.text)
            try await upstream.waitUntil { log in
                log.requests.contains { $0.text.contains("notifications/cancelled") && $0.text.contains(id) }
            }
            let counted = await eventually {
                test.metrics.exposition().contains(#"status="499",outcome="client_closed""#)
            }
            #expect(counted)
        }
    }

    /// Sends a request and closes the connection once the upstream has it.
    private func leave(_ test: TestGateway, _ upstream: FakeToolServer) async throws {
        let client = try RawSocketClient(port: test.port)
        await client.send(
            "POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}")
        try await upstream.waitUntil { $0.requests.contains { $0.text.contains("tools/call") } }
        withExtendedLifetime(client) {}
    }
}
