import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// Types that the old backend still serves.
@Suite struct ChatBackendTests {
    private let types: JSONObject = ["history": ["upstream": "old", "timeout": "5s"], "search": Migration.search([:])]

    @Test func thePayloadGoesToTheOldBackendUnchanged() async throws {
        let payload = " {\"x\": 1.50, \"type\":\"hist\\u006fry\",\n\"x\":2} "
        try await Migration.with(types: types) { (migration) async throws in
            let response = try await migration.test.send(
                "POST", "/api/chat/?page=2&q=%C5%81",
                headers: [
                    ("Cookie", "theme=dark; sessionid=abc"), ("Authorization", "Bearer t"), ("Accept-Language", "cs"),
                    ("X-Secret", "s"), ("Content-Type", "text/plain"), ("X-Request-Id", "my-id"),
                ], body: payload)
            #expect(response.status == 200)
            #expect(response.text == #"{"old":true}"#)
            #expect(response.headers.first(name: "X-Request-Id") == "my-id")
            let sent = try #require(migration.sent.first)
            #expect(sent.method == "POST")
            #expect(sent.path == "/api/chat/?page=2&q=%C5%81")
            #expect(sent.text == payload)
            #expect(sent.header("Cookie") == "sessionid=abc")
            #expect(sent.header("Authorization") == "Bearer t")
            #expect(sent.header("Accept-Language") == "cs")
            #expect(sent.header("Content-Type") == "text/plain")
            #expect(sent.header("X-Request-Id") == "my-id")
            #expect(sent.header("X-Forwarded-For") == "127.0.0.1")
            #expect(sent.header("X-Secret") == nil)
            #expect(migration.tools.calls.isEmpty)
        }
    }

    @Test func otherTypesGoToTheirTools() async throws {
        try await Migration.with(types: types) { (migration) async throws in
            let response = try await migration.chat(#"{"type":"search","query":"q"}"#)
            #expect(response.text == #"{"type":"search","replies":["new"]}"#)
            #expect(migration.sent.isEmpty)
            #expect(try await migration.chat(#"{"type":"other"}"#).text == "Unknown type: other")
            #expect(try await migration.chat(#"{"type":"search"}"#).text == "Missing query")
            let timing = response.headers.first(name: "Server-Timing") ?? ""
            #expect(!timing.contains("route"))
        }
    }

    @Test(arguments: [200, 201, 302, 400, 401, 404, 418, 429, 500, 503])
    func anyAnswerComesBackAsItIs(_ status: Int) async throws {
        try await Migration.with(types: types) { _ in
            .results("new")
        } old: { _ in
            .whole(
                status: status,
                headers: [
                    ("Content-Type", "text/html; charset=utf-8"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"),
                    ("Retry-After", "7"), ("X-Request-Id", "theirs"), ("Server-Timing", "db;dur=5"),
                    ("Connection", "X-Hop"), ("X-Hop", "1"), ("X-Kept", "2"), ("Location", "/elsewhere"),
                ], body: ByteBuffer(string: "Unknown type: x"))
        } _: { (migration) async throws in
            let response = try await migration.chat(#"{"type":"history"}"#)
            #expect(response.status == status)
            #expect(response.text == "Unknown type: x")
            #expect(response.contentType == "text/html; charset=utf-8")
            #expect(response.headers.all(name: "Set-Cookie") == ["a=1; Path=/", "b=2"])
            #expect(response.headers.first(name: "Retry-After") == "7")
            #expect(response.headers.first(name: "X-Kept") == "2")
            #expect(response.headers.first(name: "X-Hop") == nil)
            #expect(response.headers.first(name: "Location") == "/elsewhere")
            #expect(response.headers.all(name: "X-Request-Id").count == 1)
            #expect(response.headers.first(name: "X-Request-Id") != "theirs")
            let timings = response.headers.all(name: "Server-Timing")
            #expect(timings.count == 1)
            #expect(timings.first?.hasSuffix(#", route;desc="chat""#) == true)
            let outcome = status < 400 ? "ok" : "backend_error"
            let line = #"gateway_routed_requests_total{type="history",side="chat",outcome="\#(outcome)"}"#
            #expect(await eventually { migration.metric(line) == 1 })
            let requests = #"gateway_requests_total{type="history",tool="",status="\#(status)",outcome="\#(outcome)"}"#
            #expect(await eventually { migration.metric(requests) == 1 })
        }
    }

    @Test func aBodyUpToTheLimitPassesAndALongerOneDoesNot() async throws {
        let limits: JSONObject = ["limits": ["upstreamResponse": 100_000, "body": 100_000]]
        try await Migration.with(types: types, changes: limits) { _ in
            .results("new")
        } old: { request in
            .text(String(repeating: "x", count: Int(request.text.split(separator: "#")[1]) ?? 0))
        } _: { (migration) async throws in
            func ask(_ length: Int) async throws -> CurlResponse {
                try await migration.chat("{\"type\":\"history\",\"n\":\"#\(length)#\"}")
            }
            #expect(try await ask(100_000).text.count == 100_000)
            let long = try await ask(100_001)
            #expect(long.status == 502)
            #expect(long.json?["error"] == "MCP error")
            let big = try await migration.chat(
                #"{"type":"history","x":"\#(String(repeating: "y", count: 100_000))"}"#)
            #expect(big.status == 413)
        }
    }

    @Test func whatTheOldBackendDoesNotAnswerIsToldByTheErrorTable() async throws {
        let problem: CurlHeaders = [("Accept", "application/problem+json")]
        let cases: [(ScriptedResponse, Int, String, String)] = [
            (.hang, 504, "upstream_timeout", "unknown"),
            (.closeBeforeResponse, 502, "upstream_unreachable", "unknown"),
            (.raw("rubbish\r\n\r\n", close: true), 502, "upstream_invalid", "unknown"),
        ]
        for (answer, status, label, executed) in cases {
            try await Migration.with(types: ["history": ["upstream": "old", "timeout": "300ms"]]) { _ in
                .results("new")
            } old: { _ in
                answer
            } _: { (migration) async throws in
                let response = try await migration.chat(#"{"type":"history"}"#, headers: problem)
                #expect(response.status == status, "\(label)")
                #expect(response.json?["label"]?.string == label)
                #expect(response.json?["executed"]?.string == executed)
                #expect(migration.sent.count == 1)
            }
        }
    }

    @Test func anOldBackendThatIsAwayOpensTheBreaker() async throws {
        let backend: JSONObject = ["breaker": ["failures": 2, "pause": "60s"], "probeInterval": "20ms"]
        try await Migration.with(types: types, backend: backend) { (migration) async throws in
            try await migration.old.stopAndWait()
            for _ in 0..<4 {
                let response = try await migration.chat(
                    #"{"type":"history"}"#, headers: [("Accept", "application/problem+json")])
                #expect(response.status == 502)
                #expect(response.json?["label"] == "upstream_unreachable")
                #expect(response.json?["executed"] == "no")
            }
            #expect(await eventually { migration.test.gateway.status[upstream: "old"]?.isReachable == false })
            #expect(await eventually { migration.metric(#"gateway_upstream_breaker_state{upstream="old"}"#) == 2 })
            // The check closes the breaker before the pause is over.
            try await migration.old.restart()
            let returned = await eventually { (try? await migration.chat(#"{"type":"history"}"#).status) == 200 }
            #expect(returned)
            let document = migration.test.gateway.status.readiness.document
            #expect(document["upstreams"]?["old"]?["kind"] == "chat")
        }
    }

    @Test func calleesBeyondTheConcurrencyWait() async throws {
        let backend: JSONObject = ["concurrency": 1, "queue": 0]
        let gate = AsyncStream<Void>.makeStream()
        try await Migration.with(types: types, backend: backend) { _ in
            .results("new")
        } old: { _ in
            for await _ in gate.stream { break }
            return .json("{}")
        } _: { (migration) async throws in
            async let first = migration.chat(#"{"type":"history"}"#)
            #expect(await eventually { migration.sent.count == 0 && migration.old.log.acceptedConnections > 0 })
            let refused = await eventually {
                (try? await migration.chat(#"{"type":"history"}"#).status) == 503
            }
            #expect(refused)
            gate.continuation.finish()
            #expect(try await first.status == 200)
        }
    }

    @Test func aClientThatLeavesEndsTheRequest() async throws {
        try await Migration.with(types: types) { _ in
            .results("new")
        } old: { _ in
            .hang
        } _: {
            (migration) async throws in
            var client: RawSocketClient? = try RawSocketClient(port: migration.test.port)
            await client?.send(
                "POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18\r\n\r\n{\"type\":\"history\"}")
            #expect(await eventually { !migration.sent.isEmpty })
            let open = migration.old.log.openConnections
            client = nil
            #expect(await eventually { migration.old.log.openConnections < open || open == 0 })
            #expect(await eventually { migration.test.gateway.requestsInFlight == 0 })
        }
    }

    @Test func unknownTypesGoToTheOldBackendWhereConfigured() async throws {
        try await Migration.with(
            types: ["search": Migration.search([:])],
            chat: ["unknownTypes": ["upstream": "old"], "defaultType": "chat"]
        ) { (migration) async throws in
            for payload in [#"{"type":"anything"}"#, #"{"type":5}"#, #"{"message":"no type"}"#] {
                #expect(try await migration.chat(payload).text == #"{"old":true}"#)
                #expect(migration.sent.last?.text == payload)
            }
            #expect(try await migration.chat(#"{"type":"search","query":"q"}"#).text.contains("new"))
            #expect(try await migration.chat("{").text == "Invalid JSON")
            let line = #"gateway_routed_requests_total{type="other",side="chat",outcome="ok"}"#
            #expect(await eventually { migration.metric(line) == 3 })
        }
    }

    @Test func aSiteCanBeginWithNothingButTheOldBackend() async throws {
        let old = try await ScriptedHTTPServer { _ in .json(#"{"old":true}"#) }
        defer { old.stop() }
        let document: JSONValue = [
            "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 1, "accessLog": false,
            "passthrough": ["enabled": false],
            "upstreams": ["old": ["kind": "chat", "url": .string(old.url + "/api/chat/"), "probeInterval": "20ms"]],
            "chat": ["unknownTypes": ["upstream": "old"]],
        ]
        let test = try await TestGateway.start { try TestConfiguration.read(document) }
        #expect(await eventually { (try? await test.admin("/readyz").status) == 200 })
        #expect(try await test.chat(#"{"type":"search_any"}"#).text == #"{"old":true}"#)
        await test.stop()
    }

    @Test func theOtherServerTakesWhatDidNotReachTheFirst() async throws {
        let second = try await ScriptedHTTPServer { _ in .json(#"{"second":true}"#) }
        defer { second.stop() }
        let backend: JSONObject = ["urls": [.string(second.url + "/api/chat/")], "breaker": ["failures": 0]]
        try await Migration.with(types: types, backend: backend) { (migration) async throws in
            try await migration.old.stopAndWait()
            for _ in 0..<4 { #expect(try await migration.chat(#"{"type":"history"}"#).status == 200) }
            #expect(second.requests.filter { $0.method == "POST" }.count == 4)
        }
    }

    @Test(
        arguments: [
            (["upstreams": ["old": ["kind": "chat", "url": "http://h/", "era": "modern"]]], "upstreams.old.era"),
            (["chat": ["types": ["chat": ["upstream": "none"]]]], "chat.types.chat.upstream"),
            (["chat": ["types": ["chat": [:]]]], "chat.types.chat.tool"),
            (
                ["chat": ["types": ["chat": ["tool": "t", "canary": ["upstream": "tools"]]]]],
                "chat.types.chat.canary.upstream"
            ),
            (
                ["chat": ["types": ["chat": ["tool": "t", "upstream": "old", "shadow": ["upstream": "old"]]]]],
                "chat.types.chat.shadow.upstream"
            ),
            (
                [
                    "chat": [
                        "types": ["chat": ["tool": "t", "canary": ["upstream": "old"], "shadow": ["upstream": "old"]]]
                    ]
                ],
                "chat.types.chat.shadow"
            ),
            (["chat": ["unknownTypes": ["upstream": "tools"]]], "chat.unknownTypes.upstream"),
            (["chat": ["tools": ["upstream": "old"]]], "chat.tools.upstream"),
            (["passthrough": ["upstream": "old"]], "passthrough.upstream"),
        ] as [(JSONObject, String)])
    func aRouteThatCannotBeIsAnError(_ changes: JSONObject, _ path: String) throws {
        var document: JSONObject = [
            "upstreams": [
                "tools": ["url": "http://127.0.0.1:1/"], "old": ["kind": "chat", "url": "http://127.0.0.1:2/"],
            ]
        ]
        for (key, value) in changes {
            document[key] = .object((document[key]?.object ?? [:]).merging(value.object ?? [:]))
        }
        let error = #expect(throws: (any Error).self) { try TestConfiguration.read(.object(document)) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(path + ":"))
    }
}
