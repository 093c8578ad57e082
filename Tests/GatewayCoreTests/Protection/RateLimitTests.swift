import CurlTransport
import JSON
import JSONConfiguration
import TestSupport
import Testing

@testable import GatewayCore

/// Rate limits over real sockets.
@Suite struct RateLimitTests {
    private static let search = #"{"type": "search_projects", "query": "x"}"#

    private func with(_ limits: JSONValue, _ body: (TestGateway, FakeToolServer) async throws -> Void) async throws {
        let upstream = try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? .text("passed") : nil
        }) { _ in .results([]) }
        try await TestGateway.with(upstream, ["rateLimits": limits]) { (test) async throws in
            try await body(test, upstream)
        }
    }

    @Test func withoutTheSectionNothingIsLimited() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            for _ in 1...40 { #expect(try await test.chat(Self.search).status == 200) }
            #expect(test.gateway.snapshot.settings.limiter == nil)
        }
    }

    @Test func anAddressHasItsShare() async throws {
        try await with(["address": ["requests": 3, "per": "1h"]]) { (test, upstream) async throws in
            for _ in 1...3 { #expect(try await test.chat(Self.search).status == 200) }
            let refused = try await test.chat(Self.search)
            #expect(refused.status == 429)
            #expect(refused.json == ["error": "Too many requests"])
            let seconds = try #require(refused.headers.first(name: "Retry-After").flatMap { Int($0) })
            #expect((1...1200).contains(seconds))
            // Another client of the trusted proxy, and the same one on another route.
            let other: CurlHeaders = [("X-Forwarded-For", "192.0.2.1")]
            #expect(try await test.chat(Self.search, headers: other).status == 200)
            #expect(try await test.send("POST", "/mcp/", body: "{}").status == 429)
            #expect(try await test.send("GET", "/auth/me").status == 429)
            #expect(upstream.calls.count == 4)
            let metrics = try await test.admin("/metrics").text
            #expect(metrics.contains(#"gateway_rate_limited_total{limit="address"} 3"#))
            #expect(metrics.contains(#"outcome="rate_limited""#))
            // What is no use of the tools is not limited.
            #expect(try await test.send("GET", "/openapi.json").status == 200)
        }
    }

    @Test func aClientCannotInventItsAddress() async throws {
        let limits: JSONObject = [
            "rateLimits": ["address": ["requests": 1, "per": "1h"]], "trustedProxies": ["10.0.0.0/8"],
        ]
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream, limits) { (test) async throws in
            #expect(try await test.chat(Self.search, headers: [("X-Forwarded-For", "192.0.2.1")]).status == 200)
            #expect(try await test.chat(Self.search, headers: [("X-Forwarded-For", "192.0.2.2")]).status == 429)
        }
    }

    @Test func aCredentialHasItsShareWhereverItComesFrom() async throws {
        try await with(["credential": ["requests": 2, "per": "1h"]]) { (test, _) async throws in
            let alice: [CurlHeaders] = [
                [("Cookie", "sessionid=alice"), ("X-Forwarded-For", "192.0.2.1")],
                [("Cookie", "other=1; sessionid=alice"), ("X-Forwarded-For", "192.0.2.2")],
                [("Cookie", "sessionid=alice"), ("X-Forwarded-For", "192.0.2.3")],
            ]
            #expect(try await test.chat(Self.search, headers: alice[0]).status == 200)
            #expect(try await test.chat(Self.search, headers: alice[1]).status == 200)
            #expect(try await test.chat(Self.search, headers: alice[2]).status == 429)
            #expect(try await test.chat(Self.search, headers: [("Cookie", "sessionid=bob")]).status == 200)
            #expect(try await test.chat(Self.search, headers: [("Authorization", "Bearer alice")]).status == 200)
            // Without credentials the addresses tell callers apart.
            for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
                #expect(try await test.chat(Self.search, headers: [("X-Forwarded-For", address)]).status == 200)
            }
        }
    }

    @Test func aCredentialIsOneHoweverItIsSpelled() async throws {
        let spellings: [[CurlHeaders]] = [
            [
                [("Cookie", "sessionid=alice")], [("Cookie", "sessionid=junk; sessionid=alice")],
                [("Cookie", "sessionid=\"alice\"")], [("Cookie", "sessionid=other"), ("Cookie", "sessionid=alice")],
                [("Cookie", " sessionid = alice ;")],
            ],
            [
                [("Authorization", "Bearer t")], [("Authorization", "bEARER   t")],
                [("Authorization", "Bearer t"), ("Cookie", "sessionid=made-up-1")],
                [("Authorization", "bearer\tt"), ("Cookie", "sessionid=made-up-2")],
            ],
        ]
        for (count, credential) in spellings.enumerated() {
            try await with(["credential": ["requests": 1, "per": "1h"]]) { (test, upstream) async throws in
                #expect(try await test.chat(Self.search, headers: credential[0]).status == 200)
                for headers in credential.dropFirst() {
                    #expect(try await test.chat(Self.search, headers: headers).status == 429, "\(headers)")
                }
                #expect(upstream.calls.count == 1, "\(count)")
            }
        }
    }

    @Test func aLimitCountsTheCallsOfABatch() async throws {
        try await with(["credential": ["requests": 5, "per": "1h"]]) { (test, _) async throws in
            func batch(_ count: Int) -> String {
                "[" + (1...count).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"ping"}"# }.joined(separator: ",") + "]"
            }
            let headers: CurlHeaders = [("Cookie", "sessionid=a")]
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(6)).status == 429)
            // What was refused cost its first call alone.
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(4)).status == 200)
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(1)).status == 429)
        }
    }

    @Test func aTypesLimitCountsItsToolByEveryWayIn() async throws {
        let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ai_prompt","arguments":{}}}"#
        let ways: [(path: String, body: String)] = [
            ("/api/chat/", #"{"type": "ai_prompt", "message": "x"}"#), ("/mcp/", call), ("/mcp/", "[\(call)]"),
            ("/mcp/ai_prompt", #"{"prompt":"x"}"#), ("/mcp/", #"{"command":"ai_prompt","arguments":{"prompt":"x"}}"#),
            ("/mcp", #"{"name":"ai_prompt","arguments":{"prompt":"x"}}"#),
        ]
        for (number, first) in ways.enumerated() {
            try await with(["types": ["ai_prompt": ["requests": 1, "per": "1h"]]]) { (test, _) async throws in
                #expect(try await test.send("POST", first.path, body: first.body).status == 200)
                for way in ways {
                    #expect(try await test.send("POST", way.path, body: way.body).status == 429, "\(number) \(way)")
                }
                // Other tools, and other uses of this one's name.
                let other = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#
                #expect(try await test.send("POST", "/mcp/", body: other).status == 200)
                #expect(try await test.send("POST", "/mcp/", body: #"{"jsonrpc":"2.0","method":"x"}"#).status == 200)
            }
        }
    }

    @Test func aTypesLimitCountsItsToolThroughAnEndpoint() async throws {
        let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t_ai_prompt","arguments":{}}}"#
        let ways: [(path: String, body: String)] = [
            ("/api/chat/", #"{"type": "ai_prompt", "message": "x"}"#), ("/mcp/", call), ("/mcp/", "[\(call)]"),
            ("/mcp/t_ai_prompt", #"{"prompt":"x"}"#), ("/mcp/t%5Fai_prompt/", #"{"prompt":"x"}"#),
            ("/mcp/", #"{"command":"t_ai_prompt","arguments":{"prompt":"x"}}"#),
        ]
        let upstream = try await FakeToolServer { _ in .results([]) }
        let changes: JSONObject = [
            "rateLimits": ["types": ["ai_prompt": ["requests": 1, "per": "1h"]]],
            "mcp": ["endpoints": ["/mcp/": ["upstreams": ["tools": ["prefix": "t_"]]]]],
        ]
        for (number, first) in ways.enumerated() {
            try await TestGateway.with(upstream, changes) { (test) async throws in
                #expect(try await test.send("POST", first.path, body: first.body).status != 429)
                for way in ways {
                    let response = try await test.send("POST", way.path, body: way.body)
                    #expect(response.status == 429, "\(number) \(way)")
                    #expect(response.headers.first(name: "Retry-After") != nil)
                }
                // The upstream's own name is another tool of the endpoint, which it does not have.
                let other = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ai_prompt"}}"#
                #expect(try await test.send("POST", "/mcp/", body: other).status != 429)
            }
        }
    }

    @Test func anEndpointsLimitCountsTheCallsOfABatch() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        let changes: JSONObject = [
            "rateLimits": ["credential": ["requests": 5, "per": "1h"]],
            "mcp": ["endpoints": ["/mcp/": ["upstreams": ["tools": [:]]]]],
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            func batch(_ count: Int) -> String {
                "[" + (1...count).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"ping"}"# }.joined(separator: ",") + "]"
            }
            let headers: CurlHeaders = [("Cookie", "sessionid=a")]
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(6)).status == 429)
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(4)).status != 429)
            #expect(try await test.send("POST", "/mcp/", headers: headers, body: batch(1)).status == 429)
        }
    }

    @Test func aKeyIsACredentialToo() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        let changes: JSONObject = [
            "rateLimits": ["credential": ["requests": 1, "per": "1h"]],
            "forward": ["headers": ["X-API-Key"], "credentials": ["X-API-Key"]],
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            #expect(try await test.chat(Self.search, headers: [("X-API-Key", "a")]).status == 200)
            #expect(try await test.chat(Self.search, headers: [("X-API-Key", "b")]).status == 200)
            #expect(try await test.chat(Self.search, headers: [("X-API-Key", "a")]).status == 429)
        }
    }

    @Test func aTypeMayHaveALimitOfItsOwn() async throws {
        try await with(["types": ["ai_prompt": ["requests": 1, "per": "1h"]]]) { (test, upstream) async throws in
            let prompt = #"{"type": "ai_prompt", "message": "x"}"#
            #expect(try await test.chat(prompt, headers: [("Cookie", "sessionid=a")]).status == 200)
            #expect(try await test.chat(prompt, headers: [("Cookie", "sessionid=a")]).status == 429)
            #expect(try await test.chat(prompt, headers: [("Cookie", "sessionid=b")]).status == 200)
            #expect(try await test.chat(Self.search, headers: [("Cookie", "sessionid=a")]).status == 200)
            #expect(upstream.calls.count == 3)
        }
    }

    @Test func guessingPasswordsIsSlow() async throws {
        // Logins are limited as soon as anything is.
        try await with([:]) { (test, _) async throws in
            let client: CurlHeaders = [("X-Forwarded-For", "192.0.2.1")]
            for _ in 1...10 {
                #expect(try await test.send("POST", "/auth/login", headers: client, body: "{}").status == 200)
            }
            #expect(try await test.send("POST", "/auth/login", headers: client, body: "{}").status == 429)
            #expect(try await test.send("GET", "/auth/me", headers: client).status == 200)
            #expect(try await test.chat(Self.search, headers: client).status == 200)
            let other: CurlHeaders = [("X-Forwarded-For", "192.0.2.2")]
            #expect(try await test.send("POST", "/auth/login", headers: other, body: "{}").status == 200)
        }
    }

    @Test func allWorkersShareALimit() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        let changes: JSONObject = ["workers": 4, "rateLimits": ["address": ["requests": 20, "per": "1h"]]]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 1...60 { group.addTask { try await test.chat(Self.search).status } }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 20, 429: 40])
        }
    }

    @Test func aReloadThatDoesNotTouchThemKeepsWhatWasUsed() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        let limits: JSONObject = ["rateLimits": ["address": ["requests": 1, "per": "1h"]]]
        try await TestGateway.with(upstream, limits) { (test) async throws in
            #expect(try await test.chat(Self.search).status == 200)
            #expect(await test.gateway.reload())
            #expect(try await test.chat(Self.search).status == 429)
        }
    }

    @Test(
        arguments: [
            (["types": ["nothing": ["requests": 1]]], "rateLimits.types.nothing"),
            (["address": ["requests": -1]], "rateLimits.address.requests"),
            (["addressHeader": "X-Real-IP"], "rateLimits.addressHeader"), (["adress": [:]], "rateLimits.adress"),
        ] as [(JSONValue, String)])
    func aMistakeIsNamed(_ limits: JSONValue, _ path: String) throws {
        let document = try TestConfiguration.document(upstream: "http://127.0.0.1:1", ["rateLimits": limits])
        let error = #expect(throws: ConfigurationErrors.self) { try TestConfiguration.read(document) }
        #expect("\(try #require(error))".contains(path))
    }
}
