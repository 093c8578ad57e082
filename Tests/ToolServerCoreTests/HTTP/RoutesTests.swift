import CurlTransport
import Foundation
import HTTPServer
import JSON
import Logging
import NIOPosix
import ServiceRuntime
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store
@testable import ToolServerCore

/// The main and the admin port on real sockets, in this process.
@Suite struct RoutesTests {
    private func cookie(_ fixture: ToolFixture, _ account: Account) async throws -> (name: String, value: String) {
        ("Cookie", "sessionid=" + (try await fixture.toolServer.login.openSession(for: account)).text)
    }

    @Test func aPlainCallAnswersWithTheStructuredResult() async throws {
        try await ToolFixture.serving { client, _ in
            let echo = try await client.post("/mcp/echo", #"{"message":"Hello"}"#)
            #expect(echo.status == 200)
            #expect(try echo.json == ["Echo": "Hello"])
            #expect(echo.mediaType == "application/json")
            #expect(echo.header("X-Request-Id")?.isEmpty == false)
            #expect(try await client.post("/mcp/nope", "{}").status == 404)
            #expect(try await client.post("/mcp/echo", "{}").status == 400)
            #expect(try await client.post("/mcp/echo", "[").json["error"] == "Invalid JSON")
            let failed = try await client.post("/mcp/get_user_info", "")
            #expect(failed.status == 400)
            #expect(try failed.json == ["error": "Not authenticated"])
            let get = try await client.get("/mcp/echo")
            #expect(get.status == 405)
            #expect(get.header("Allow") == "POST")
        }
    }

    @Test(arguments: ["/mcp", "/mcp/"])
    func theOldDialectAnswersAsTheOldServerDid(path: String) async throws {
        try await ToolFixture.serving { client, _ in
            let found = try await client.post(
                path, #"{"command":"search_any","arguments":{"model":"projects","query":"urgent 1"}}"#)
            #expect(found.status == 200)
            #expect(try found.json == ["results": [["name": "Urgent 1", "url": "/psm/project/1/"]]])
            let named = try await client.post(path, #"{"name":"echo","arguments":"{\"message\":\"Hi\"}"}"#)
            #expect(try named.json == ["results": ["Echo": "Hi"]])
            let failed = try await client.post(path, #"{"command":"search_any","arguments":{"model":"x","query":"y"}}"#)
            #expect(failed.status == 200)
            #expect(try failed.json == ["error": "Unknown model"])
            let unknown = try await client.post(path, #"{"command":"nope"}"#)
            #expect(unknown.status == 404)
            #expect(try unknown.json == ["error": "Unknown command: nope"])
            let bad = try await client.post(path, #"{"command":"search_any","arguments":{"query":5}}"#)
            #expect(bad.status == 400)
            #expect(try bad.json["error"]?.string?.isEmpty == false)
            #expect(try await client.post(path, #"{"command":"echo","arguments":"{"}"#).status == 400)
        }
    }

    @Test func aReadySessionCallsToolsOverMCP() async throws {
        try await ToolFixture.serving { client, _ in
            for method in ["GET", "HEAD"] {
                let opened = try await client.send(method, "/mcp/session/new")
                #expect(opened.status == 200)
                let session = try #require(opened.header("Mcp-Session-Id"))
                let called = try await client.post(
                    "/mcp/",
                    json: [
                        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
                        "params": ["name": "echo", "arguments": ["message": "Hello"]],
                    ], headers: [("Mcp-Session-Id", session), ("Accept", "application/json, text/event-stream")])
                #expect(called.status == 200)
                #expect(try called.json["id"] == 7)
                #expect(try called.json["result"]?["structuredContent"] == ["Echo": "Hello"])
                #expect(called.header("X-Request-Id") != nil)
                #expect(
                    try await client.send("DELETE", "/mcp/", headers: [("Mcp-Session-Id", session)]).status < 300)
            }
        }
    }

    @Test func aLegacyRequestWithoutASessionIsRefusedWithItsID() async throws {
        try await ToolFixture.serving { client, _ in
            let response = try await client.post(
                "/mcp", #"{"jsonrpc":"2.0","id":"a1","method":"tools/list"}"#,
                headers: [("Accept", "application/json, text/event-stream")])
            #expect(response.status == 400)
            #expect(
                try response.json == [
                    "jsonrpc": "2.0", "id": "a1",
                    "error": ["code": -32600, "message": "Bad Request: Missing session ID"],
                ])
        }
    }

    @Test func loggingInSetsACookieThatTellsWhoItIs() async throws {
        try await ToolFixture.serving { client, fixture in
            let response = try await client.post(
                "/auth/login", #"{"username":"alice","password":"alice's password"}"#)
            #expect(response.status == 200)
            #expect(try response.json == ["username": "alice", "alias": "Al"])
            let header = try #require(response.header("Set-Cookie"))
            #expect(header.contains("; HttpOnly"))
            #expect(header.contains("; SameSite=Lax"))
            #expect(header.contains("; Path=/"))
            #expect(!header.contains("Secure"))
            let token = try #require(response.cookie("sessionid"))
            let cookie = [("Cookie", "sessionid=\(token)")]
            let user = try await client.post("/mcp/get_user_info", "{}", headers: cookie)
            #expect(try user.json == ["results": ["username": "alice", "alias": "Al"]])

            let out = try await client.post("/auth/logout", "", headers: cookie)
            #expect(out.status == 200)
            #expect(out.header("Set-Cookie")?.contains("Max-Age=0") == true)
            #expect(try await client.post("/mcp/get_user_info", "{}", headers: cookie).status == 400)
            #expect(try await fixture.toolServer.login.account(#require(SessionToken(presented: token))) == nil)
        }
    }

    @Test func behindTLSTheCookieIsSecure() async throws {
        try await ToolFixture.serving { client, _ in
            let response = try await client.post(
                "/auth/login", #"{"username":"alice","password":"alice's password"}"#,
                headers: [("X-Forwarded-Proto", "https")])
            #expect(response.header("Set-Cookie")?.hasSuffix("; Secure") == true)
        }
    }

    @Test(arguments: [
        (#"{"username":"alice","password":"wrong"}"#, 401), (#"{"username":"x","password":"y"}"#, 401),
        (#"{"username":"alice"}"#, 400), (#"{"username":1,"password":2}"#, 400), ("[]", 400), ("{", 400), ("", 400),
    ])
    func badLoginsAreRefusedWithoutACookie(body: String, status: Int) async throws {
        try await ToolFixture.serving { client, _ in
            let response = try await client.post("/auth/login", body)
            #expect(response.status == status)
            #expect(try response.json["error"]?.string?.isEmpty == false)
            #expect(response.header("Set-Cookie") == nil)
        }
    }

    @Test func refusedCredentialsAreCountedByReason() async throws {
        try await ToolFixture.serving(["identity": ["builtin", "apiKey"], "requireAuthentication": true]) {
            client, fixture in
            let keys = APIKeyService(keys: fixture.store, directory: fixture.toolServer.directory)
            let (_, revoked) = try await keys.create(name: "old", scopes: [], user: nil)
            #expect(try await fixture.store.revokeAPIKey(named: "old", at: Date()))
            for (credential, times) in [
                (nil, 2), ("Bearer " + APIKeyText().text, 1), ("Bearer \(revoked.text)", 3), ("Bearer a b", 1),
            ] as [(String?, Int)] {
                let headers: HTTPTestClient.Headers = credential.map { [("Authorization", $0)] } ?? []
                for _ in 0..<times {
                    #expect(try await client.post("/mcp/echo", #"{"message":"x"}"#, headers: headers).status == 401)
                }
            }
            let login = #"{"username":"alice","password":"not hers"}"#
            #expect(try await client.post("/auth/login", login).status == 401)
            let text = fixture.toolServer.metrics.registry.exposition()
            for (reason, count) in [
                ("missing", 2), ("unknown", 1), ("revoked", 3), ("malformed", 1), ("password", 1), ("expired", 0),
                ("disabled", 0), ("invalid", 0), ("untrusted", 0),
            ] {
                let line = #"tool_server_refused_credentials_total{reason="\#(reason)"} \#(count)"#
                #expect(text.contains(line + "\n"), "\(line)")
            }
        }
    }

    @Test func foreignPagesCannotActWithTheCookie() async throws {
        try await ToolFixture.serving(["allowedOrigins": ["https://app.example"]]) { client, fixture in
            let cookie = try await cookie(fixture, fixture.alice)
            let body = #"{"command":"echo","arguments":{"message":"x"}}"#
            for path in ["/mcp/", "/mcp/echo", "/auth/logout"] {
                let external = try await client.post(path, body, headers: [cookie, ("Origin", "https://evil.example")])
                #expect(external.status == 403)
            }
            let local = try await client.post("/mcp/", body, headers: [cookie, ("Origin", "http://localhost:1")])
            #expect(local.status == 403)
            let allowed = try await client.post("/mcp/", body, headers: [cookie, ("Origin", "https://app.example")])
            #expect(allowed.status == 200)
            let own = try await client.post("/mcp/", body, headers: [cookie, ("Origin", client.base)])
            #expect(own.status == 200)
            // The cookie is not what makes a page external: any page could spend the company's money otherwise.
            for path in ["/mcp/", "/mcp/echo", "/mcp/session/new", "/auth/login", "/nothing"] {
                let external = try await client.post(path, "{}", headers: [("Origin", "https://evil.example")])
                #expect(external.status == 403)
                #expect(try external.json == ["error": "Origin not allowed"])
                #expect(external.header("X-Request-Id")?.isEmpty == false)
            }
            let rebound = try await client.post(
                "/mcp/echo", #"{"message":"x"}"#,
                headers: [("Host", "evil.example"), ("Origin", "http://evil.example")])
            #expect(try rebound.json == ["error": "Host not allowed"])
        }
    }

    @Test func aStaleCookieIsAnonymous() async throws {
        try await ToolFixture.serving { client, _ in
            let cookie = [("Cookie", "sessionid=\(SessionToken().text)")]
            let echo = try await client.post("/mcp/echo", #"{"message":"x"}"#, headers: cookie)
            #expect(echo.status == 200)
            #expect(
                try await client.post("/mcp/get_user_info", "{}", headers: cookie).json
                    == ["error": "Not authenticated"])
        }
    }

    @Test func whenIdentityCannotBeToldNobodyIsServedAsAnonymous() async throws {
        try await ToolFixture.serving { client, fixture in
            let cookie = try await cookie(fixture, fixture.alice)
            try await fixture.store.change("DROP TABLE login_session")
            #expect(try await client.post("/mcp/echo", #"{"message":"x"}"#, headers: [cookie]).status == 503)
            #expect(
                try await client.post("/mcp/", #"{"command":"get_user_info"}"#, headers: [cookie]).status == 503)
            #expect(try await client.post("/mcp/echo", #"{"message":"x"}"#).status == 200)
        }
    }

    /// The server is alive and has an answer, so a gateway need not take it for broken.
    @Test func aToolCallWhoseCallerCannotBeToldIsAnErrorOfTheTool() async throws {
        try await ToolFixture.serving { client, fixture in
            let cookie = try await cookie(fixture, fixture.alice)
            try await fixture.store.change("DROP TABLE login_session")
            let call = #"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"echo","arguments":{}"#
            let modern = call + #","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#
            for (body, isModern) in [(call + "}}", false), (modern, true)] {
                let response = try await client.post(
                    "/mcp/", body, headers: [cookie, ("Accept", "application/json, text/event-stream")])
                #expect(response.status == 200)
                let document = try response.json
                #expect(document["id"] == "c")
                #expect(document["result"]?["isError"] == true)
                #expect(document["result"]?["content"]?.array?.first?["text"] == "The database is unavailable")
                #expect(document["result"]?["_meta"]?["dev.chatgateway/status"] == 503)
                #expect(document["result"]?["resultType"] == (isModern ? "complete" : nil))
            }
            for other in [#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, "{}", "["] {
                let response = try await client.post("/mcp/", other, headers: [cookie])
                #expect(response.status == 503)
                #expect(response.header("Retry-After") == "2")
            }
        }
    }

    @Test func aPlainCallSaysWhenToTryAgain() async throws {
        try await ToolFixture.serving { client, fixture in
            try await fixture.store.change("ALTER TABLE project RENAME TO away")
            let call = #"{"model":"projects","query":"x"}"#
            let plain = try await client.post("/mcp/search_any", call)
            #expect(plain.status == 503)
            #expect(plain.header("Retry-After") == "2")
            #expect(try plain.json == ["error": "The database is unavailable"])
            // The old dialect knows one status for whatever a tool says.
            let old = try await client.post("/mcp/", #"{"command":"search_any","arguments":\#(call)}"#)
            #expect(old.status == 200)
            #expect(try old.json == ["error": "The database is unavailable"])
        }
    }

    @Test func requestsAreBoundedAndUnknownPathsNotFound() async throws {
        try await ToolFixture.serving(["limits": ["maxBody": "1KiB"]]) { client, _ in
            let large = try await client.post(
                "/mcp/echo", #"{"message":""# + String(repeating: "x", count: 2000) + #""}"#)
            #expect(large.status == 413)
            for path in ["/", "/mcp/a/b", "/auth", "/healthz", "/metrics"] {
                let response = try await client.get(path)
                #expect(response.status == 404)
                #expect(try response.json["error"] != nil)
            }
        }
    }

    @Test func aSaneRequestIDIsKept() async throws {
        try await ToolFixture.serving { client, _ in
            let kept = try await client.post("/mcp/echo", "{}", headers: [("X-Request-Id", "abc-123")])
            #expect(kept.header("X-Request-Id") == "abc-123")
            let replaced = try await client.post("/mcp/echo", "{}", headers: [("X-Request-Id", "a b\"c")])
            #expect(replaced.header("X-Request-Id") != "a b\"c")
            // So do answers that no route gives.
            let large = try await client.post(
                "/mcp/echo", String(repeating: " ", count: 5 << 20), headers: [("X-Request-Id", "abc-413")])
            #expect(large.status == 413)
            #expect(large.header("X-Request-Id") == "abc-413")
            let long = try await client.post(
                "/mcp/echo", "{}", headers: [("X-Large", String(repeating: "x", count: 40_000))])
            #expect(long.status == 431)
            #expect(long.header("X-Request-Id")?.isEmpty == false)
        }
    }

    @Test func theAdminPortTellsHealthReadinessAndMetrics() async throws {
        let fixture = try await ToolFixture(
            provider: EchoProvider(), document: ["toolServer": ["admin": "127.0.0.1:0"]])
        let state = ProcessState()
        let admin = try fixture.toolServer.adminService(state: state, group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await admin.http.start().first?.port)
        let client = HTTPTestClient("http://127.0.0.1:\(port)")
        _ = try await fixture.call("echo", ["message": "x"])
        #expect(try await client.get("/healthz").json == ["status": "ok"])
        #expect(try await client.get("/readyz").json == ["status": "ready"])
        let metrics = try await client.get("/metrics").text
        #expect(metrics.contains(#"tool_server_tool_calls_total{tool="echo",outcome="ok"} 1"#))
        #expect(try await client.get("/mcp/").status == 404)
        #expect(try await client.post("/healthz", "{}").status == 405)
        #expect(try await client.get("/version").json["version"]?.string == BuildVersion.number)
        state.isDraining.store(true, ordering: .relaxed)
        #expect(try await client.get("/readyz").json["reasons"] == ["draining"])
        #expect(try await client.get("/healthz").status == 200)
        state.isDraining.store(false, ordering: .relaxed)
        try await fixture.store.change("DROP TABLE login_session")
        try await fixture.store.change("DROP TABLE account")
        let notReady = try await client.get("/readyz")
        #expect(notReady.status == 503)
        #expect(try notReady.json["reasons"]?[0]?.string?.contains("database") == true)
        await admin.drain()
    }

    /// A drain that waited for the stream would take ten minutes.
    @Test(.timeLimit(.minutes(1 * Sanitizer.slowness))) func anOpenEventStreamDoesNotHoldTheDrainUp() async throws {
        let fixture = try await ToolFixture(document: ["toolServer": ["port": 0, "drain": "600s"]])
        let service = fixture.toolServer.httpService(group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await service.http.start().first?.port)
        let client = HTTPTestClient("http://127.0.0.1:\(port)")
        let session = try #require(try await client.get("/mcp/session/new").header("Mcp-Session-Id"))
        let stream = try await client.stream(
            "GET", "/mcp/", headers: [("Mcp-Session-Id", session), ("Accept", "text/event-stream")])
        #expect(stream.status == 200)
        await service.drain()
    }

    @Test func aTakenPortIsNamedAndNothingIsStarted() async throws {
        try await ToolFixture.serving { client, fixture in
            let port = try #require(Int(client.base.split(separator: ":").last ?? ""))
            let configuration = try ToolServerConfiguration(
                document: ["toolServer": ["transport": "http", "port": .number(port)]], environment: [:])
            let second = try buildToolServer(
                configuration: configuration, hasher: .test(), logger: Logger(label: "test"))
            let error = await #expect(throws: HTTPListenError.self) { try await second.run() }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
            #expect(try await client.post("/mcp/echo", #"{"message":"still there"}"#).status == 200)
        }
    }
}
