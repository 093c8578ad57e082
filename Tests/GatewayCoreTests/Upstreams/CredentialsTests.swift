import CurlTransport
import Foundation
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// The credentials that each upstream gets: the caller's, as far as configuration says so, and the gateway's own.
@Suite struct CredentialsTests {
    private static let hello = #"{"message":"x"}"#
    private static let caller: CurlHeaders = [
        (name: "Cookie", value: "sessionid=abc"), (name: "Authorization", value: "Bearer callers-token"),
        (name: "X-API-Key", value: "callers-key"), (name: "Accept-Language", value: "cs"),
        (name: "traceparent", value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (name: "X-Request-Id", value: "callers-request"),
    ]

    /// Runs the body with a gateway in front of one MCP server that has these settings.
    private func with(
        _ settings: JSONObject, changes: JSONObject = [:],
        refuses: @escaping @Sendable (ScriptedRequest) -> Bool = { _ in false },
        _ body: (TestGateway, FakeToolServer) async throws -> Void
    ) async throws {
        let upstream = try await FakeToolServer(other: { refuses($0) ? .empty(401) : nil }) { _ in .results("x") }
        var settings = settings
        settings["url"] = .string(upstream.url + "/mcp/")
        settings["era"] = "legacy"
        settings["retryWindow"] = "0s"
        settings["probeInterval"] = "60s"
        var changes = changes
        changes["upstreams"] = ["tools": .object(settings)]
        try await TestGateway.with(upstream, changes) { (test) async throws in try await body(test, upstream) }
    }

    /// The headers of the tool calls that an upstream got, and of everything else that was sent for them.
    private func headers(_ upstream: FakeToolServer, _ name: String) -> Set<String?> {
        Set(upstream.calls.map { $0.request.header(name) })
    }

    @Test func anUntrustedUpstreamGetsNothingOfTheCaller() async throws {
        try await with([:]) { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello, headers: Self.caller).status == 200)
            let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
            #expect(try await test.send("POST", "/mcp/", headers: Self.caller, body: ping).status == 200)
            #expect(headers(upstream, "Accept-Language") == ["cs"])
            #expect(headers(upstream, "traceparent").count == 1)
            for request in upstream.requests {
                let text = request.headerLines.joined(separator: "\n").lowercased()
                for secret in ["abc", "callers", "cookie", "authorization", "x-forwarded", "x-request-id"] {
                    #expect(!text.contains(secret), "\(text)")
                }
            }
        }
    }

    @Test func aTrustedUpstreamGetsWhatTheTopLevelNames() async throws {
        try await with(["trusted": true]) { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello, headers: Self.caller).status == 200)
            #expect(headers(upstream, "Cookie") == ["sessionid=abc"])
            #expect(headers(upstream, "Authorization") == ["Bearer callers-token"])
            #expect(headers(upstream, "X-API-Key") == [nil])
            #expect(headers(upstream, "X-Request-Id") == ["callers-request"])
        }
    }

    @Test(arguments: [true, false]) func rulesOfItsOwnReplaceTheOthersWhole(_ isTrusted: Bool) async throws {
        let forward: JSONValue = ["headers": ["X-API-Key"], "credentials": ["X-API-Key"]]
        try await with(["trusted": .bool(isTrusted), "forward": forward]) { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello, headers: Self.caller).status == 200)
            #expect(headers(upstream, "X-API-Key") == ["callers-key"])
            for name in ["Cookie", "Authorization", "Accept-Language", "traceparent"] {
                #expect(headers(upstream, name) == [nil])
            }
        }
    }

    @Test func fixedHeadersWinOverForwardedOnes() async throws {
        let directory = try TemporaryDirectory("key")
        let file = try directory.write("file-key\n", to: "key")
        let fixed: JSONValue = ["authorization": "Bearer own", "X-Key": ["file": .string(file)]]
        try await with(["trusted": true, "headers": fixed]) { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello, headers: Self.caller).status == 200)
            let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
            #expect(try await test.send("POST", "/mcp/", headers: Self.caller, body: ping).status == 200)
            #expect(headers(upstream, "Cookie") == ["sessionid=abc"])
            for request in upstream.requests {
                #expect(request.headers["Authorization"] == ["Bearer own"])
                #expect(request.headers["X-Key"] == ["file-key"])
            }
        }
    }

    @Test func aRefusedKeyIsReadAgainAndTheCallMadeOnceMore() async throws {
        let directory = try TemporaryDirectory("key")
        let file = try directory.write("old", to: "key")
        let good = Mutex("old")
        try await with(["headers": ["X-Key": ["file": .string(file)]]]) { request in
            request.header("X-Key") != good.withLock { $0 }
        } _: { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello).status == 200)
            good.withLock { $0 = "new" }
            // Not replaced yet: it is the gateway that is refused, not the caller.
            let refused = try await test.chat(
                Self.hello, headers: [(name: "Accept", value: "application/problem+json")])
            #expect(refused.status == 502)
            #expect(refused.json?["label"] == "upstream_rejected")
            #expect(refused.json?["executed"] == "no")
            _ = try directory.write("new", to: "key")
            #expect(try await test.chat(Self.hello).status == 200)
            let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
            #expect(try await test.send("POST", "/mcp/", body: ping).status == 200)
            good.withLock { $0 = "newer" }
            #expect(try await test.send("POST", "/mcp/", body: ping).status == 502)
        }
    }

    @Test func aCallersOwnRefusalStaysTheCallers() async throws {
        try await with(["trusted": true, "headers": ["X-Tenant": "t"]]) { request in
            request.header("Authorization") != nil
        } _: { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello, headers: Self.caller).status == 401)
        }
    }

    // MARK: Tokens

    /// An authorization server that counts what it gives.
    private final class Issuer: Sendable {
        let requests = Mutex<[String: Int]>([:])
        let forms = Mutex<[[String: String]]>([])
        let lifetime: Int

        init(lifetime: Int = 3600) {
            self.lifetime = lifetime
        }

        func answer(_ request: ScriptedRequest) -> ScriptedResponse {
            let pairs = request.text.split(separator: "&").map {
                $0.split(separator: "=", maxSplits: 1).map(String.init)
            }
            var form = Dictionary(pairs.map { ($0[0], $0.count > 1 ? $0[1].removingPercentEncoding ?? "" : "") }) { $1 }
            form["basic"] = request.header("Authorization")
            let subject = form["subject_token"] ?? "own"
            let number = requests.withLock { requests in
                requests[subject, default: 0] += 1
                return requests[subject] ?? 0
            }
            forms.withLock { $0.append(form) }
            if subject == "bad" { return .json(#"{"error":"invalid_grant"}"#, status: 400) }
            return .json(
                #"{"access_token":"for-\#(subject)-\#(number)","token_type":"Bearer","expires_in":\#(lifetime)}"#)
        }
    }

    @Test func oneTokenIsFetchedForAllThatWait() async throws {
        let issuer = Issuer()
        let server = try await ScriptedHTTPServer { issuer.answer($0) }
        defer { server.stop() }
        let token: JSONValue = [
            "clientCredentials": [
                "tokenURL": .string(server.url + "/token"), "clientID": "gate way", "secret": "s&cret", "scope": "a b",
            ]
        ]
        try await with(["token": token]) { (test, upstream) async throws in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await test.chat(Self.hello, headers: Self.caller).status } }
                for try await status in group { #expect(status == 200) }
            }
            #expect(issuer.requests.withLock { $0 } == ["own": 1])
            #expect(headers(upstream, "Authorization") == ["Bearer for-own-1"])
            let form = try #require(issuer.forms.withLock { $0.first })
            #expect(form["grant_type"] == "client_credentials")
            #expect(form["scope"] == "a b")
            let basic = "Basic " + Data("gate%20way:s%26cret".utf8).base64EncodedString()
            #expect(form["basic"] == basic)
        }
    }

    @Test func aRefusedTokenIsFetchedAgainOnce() async throws {
        let issuer = Issuer()
        let server = try await ScriptedHTTPServer { issuer.answer($0) }
        defer { server.stop() }
        let token: JSONValue = [
            "clientCredentials": [
                "tokenURL": .string(server.url + "/token"), "clientID": "g", "secret": "s", "authentication": "post",
            ]
        ]
        try await with(["token": token]) { request in
            // The first token is revoked at once.
            request.header("Authorization") != "Bearer for-own-2"
        } _: { (test, upstream) async throws in
            #expect(try await test.chat(Self.hello).status == 200)
            #expect(try await test.chat(Self.hello).status == 200)
            #expect(issuer.requests.withLock { $0 } == ["own": 2])
            #expect(issuer.forms.withLock { $0.first }?["client_secret"] == "s")
        }
    }

    @Test func theCallersTokenIsExchangedAndNeverSent() async throws {
        let issuer = Issuer()
        let server = try await ScriptedHTTPServer { issuer.answer($0) }
        defer { server.stop() }
        let token: JSONValue = [
            "exchange": [
                "tokenURL": .string(server.url + "/token"), "clientID": "g", "secret": "s", "audience": "crm",
            ]
        ]
        try await with(["trusted": true, "token": token]) { (test, upstream) async throws in
            let anonymous = try await test.chat(Self.hello)
            #expect(anonymous.status == 401)
            #expect(anonymous.headers.first(name: "WWW-Authenticate") == "Bearer")
            for user in ["ann", "bob", "ann"] {
                let headers: CurlHeaders = [(name: "Authorization", value: "bEARER   \(user)")]
                #expect(try await test.chat(Self.hello, headers: headers).status == 200)
            }
            #expect(
                upstream.calls.map { $0.request.header("Authorization") } == [
                    "Bearer for-ann-1", "Bearer for-bob-1", "Bearer for-ann-1",
                ])
            // Two callers, two sessions.
            #expect(Set(upstream.calls.prefix(2).map { $0.request.header("Mcp-Session-Id") }).count == 2)
            #expect(issuer.forms.withLock { $0.first }?["audience"] == "crm")
            let bad: CurlHeaders = [(name: "Authorization", value: "Bearer bad")]
            #expect(try await test.chat(Self.hello, headers: bad).status == 401)
        }
    }

    @Test func aTokenIsNotUsedToItsVeryEnd() {
        #expect(TokenSource.usable(.seconds(3600)) == .seconds(3570))
        #expect(TokenSource.usable(.seconds(10)) == .seconds(9))
        #expect(TokenSource.usable(.zero) == .zero)
    }

    // MARK: Configuration

    @Test func everySecretIsCollectedForRedaction() throws {
        let directory = try TemporaryDirectory("secrets")
        let file = try directory.write("from-file\n", to: "key")
        let document: JSONValue = [
            "upstreams": [
                "a": [
                    "url": "http://h/",
                    "headers": ["X-A": "as-text", "X-B": ["env": "B"], "X-C": ["file": .string(file)]],
                    "token": ["clientCredentials": ["clientID": "g", "secret": "the-secret"]],
                ]
            ]
        ]
        let configuration = try TestConfiguration.read(document, environment: ["B": "from-environment"])
        #expect(Set(configuration.secrets.map(\.value)) == ["as-text", "from-environment", "from-file", "the-secret"])
        #expect(!"\(configuration)".contains("the-secret"))
    }

    @Test(
        arguments: [
            (["headers": ["X-A": ["env": "NONE"]]], "upstreams.a.headers.X-A"),
            (["headers": ["X-A": ["file": "/none"]]], "upstreams.a.headers.X-A"),
            (["headers": ["X-A": ["fil": "/none"]]], "upstreams.a.headers.X-A"),
            (["headers": ["X-A": "a\nb"]], "upstreams.a.headers.X-A"),
            (["headers": ["Host": "a"]], "upstreams.a.headers"),
            (["token": [:]], "upstreams.a.token"),
            (["token": ["clientCredentials": ["clientID": "g", "tokenURL": "http://far.example/"]]], "tokenURL"),
            (["token": ["exchange": ["clientID": "g", "secret": "s", "privateKey": "p"]]], "privateKey"),
            (["token": ["exchange": ["clientID": "g", "secret": "s"]]], "upstreams.a.token.exchange.issuer"),
            (["forward": ["headers": ["Host"]]], "upstreams.a.forward.headers"),
        ] as [(JSONObject, String)])
    func aMistakeIsNamed(_ settings: JSONObject, _ path: String) throws {
        var upstream = settings
        upstream["url"] = "http://h/"
        let error = #expect(throws: (any Error).self) {
            try TestConfiguration.read(["upstreams": ["a": .object(upstream)]])
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains(path))
    }

    @Test func anUpstreamOfAnyNameAndTypesWithoutChatLoad() throws {
        let type: JSONValue = ["tool": "t"]
        let one = try TestConfiguration.read([
            "upstreams": ["crm": ["url": "http://h/"]], "chat": ["types": ["find": type]],
        ])
        #expect(one.chat.types[0].upstream == "crm")
        #expect(one.chat.defaultType == "find")
        #expect(one.passthrough.upstream == "crm")
        let old = try TestConfiguration.read(["upstreams": ["old": ["kind": "chat", "url": "http://h/"]]])
        #expect(!old.passthrough.isEnabled)
        #expect(throws: (any Error).self) {
            try TestConfiguration.read([
                "upstreams": ["a": ["url": "http://h/"], "b": ["url": "http://i/"]], "chat": ["types": ["find": type]],
            ])
        }
    }

    @Test func theReportSaysWhatGoesWhere() async throws {
        let configuration = try TestConfiguration.read([
            "upstreams": [
                "ours": ["url": "http://127.0.0.1:1/", "trusted": true],
                "theirs": ["url": "http://127.0.0.1:1/", "headers": ["X-Key": "secret-key"]],
            ], "passthrough": ["upstream": "ours"],
        ])
        let lines = await GatewayReport.check(configuration).lines
        let ours =
            "receives the caller's cookies sessionid and headers Authorization, Accept-Language, "
            + "traceparent, tracestate, baggage"
        #expect(lines.contains("upstream ours: " + ours))
        let theirs = "receives the caller's headers Accept-Language, traceparent, tracestate, baggage"
        #expect(lines.contains("upstream theirs: " + theirs + "; the gateway adds X-Key"))
    }

    // MARK: Leaks

    @Test func everyUpstreamSeesOnlyWhatIsItsOwn() async throws {
        let leaks = Mutex<[String]>([])
        @Sendable func server(_ allowed: @escaping @Sendable ([String: String], String) -> Bool) async throws
            -> FakeToolServer
        {
            try await FakeToolServer { call in
                let sent = Dictionary(
                    call.request.headers.map { ($0.name.lowercased(), $0.value) }
                ) { "\($0), \($1)" }
                let user = call.arguments["message"]?.string ?? ""
                if !allowed(sent, user) { leaks.withLock { $0.append("\(user): \(sent)") } }
                return .results(.string(user))
            }
        }
        let ours = try await server { $0["cookie"] == "sessionid=\($1)" && $0["authorization"] == "Bearer \($1)" }
        let theirs = try await server { sent, _ in
            sent["cookie"] == nil && sent["authorization"] == nil && sent["x-key"] == "k"
        }
        let other = try await server {
            $0["cookie"] == "other=\($1)" && $0["authorization"] == nil && $0["x-key"] == nil
        }
        defer {
            theirs.stop()
            other.stop()
        }
        func upstream(_ server: FakeToolServer, _ more: JSONObject) -> JSONValue {
            let settings: JSONObject = ["url": .string(server.url + "/mcp/"), "era": "legacy", "probeInterval": "60s"]
            return .object(settings.merging(more))
        }
        func type(_ name: String) -> JSONValue {
            ["tool": "chat", "upstream": .string(name), "arguments": ["message": [:]], "timeout": "60s"]
        }
        let changes: JSONObject = [
            "upstreams": [
                "ours": upstream(ours, ["trusted": true]), "theirs": upstream(theirs, ["headers": ["X-Key": "k"]]),
                "other": upstream(other, ["forward": ["cookies": ["other"]]]),
            ],
            "passthrough": ["upstream": "ours"],
            "chat": [
                "defaultType": "ours",
                "types": ["ours": type("ours"), "theirs": type("theirs"), "other": type("other")],
            ],
        ]
        try await TestGateway.with(ours, changes) { (test) async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let user = "user\(number)"
                        let headers: CurlHeaders = [
                            (name: "Cookie", value: "sessionid=\(user); other=\(user)"),
                            (name: "Authorization", value: "Bearer \(user)"),
                        ]
                        for name in ["ours", "theirs", "other"] {
                            let body = #"{"type":"\#(name)","message":"\#(user)"}"#
                            let response = try await test.chat(body, headers: headers)
                            #expect(response.json?["replies"] == [.string(user)])
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(leaks.withLock { $0 } == [])
            // Where no credentials of a caller go, all share one session; where some go, each has its own.
            #expect(Set(theirs.calls.map { $0.request.header("Mcp-Session-Id") }).count == 1)
            #expect(Set(other.calls.map { $0.request.header("Mcp-Session-Id") }).count == 300)
        }
    }
}
