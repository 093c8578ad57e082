import CurlTransport
import JSON
import JSONConfiguration
import TestSupport
import Testing

@testable import GatewayCore

/// What pages of other origins may do.
@Suite struct CrossOriginTests {
    private static let search = #"{"type": "search_projects", "query": "x"}"#

    private func with(_ changes: JSONObject, _ body: (TestGateway) async throws -> Void) async throws {
        let upstream = try await FakeToolServer(other: { request in
            guard request.headers.contains(name: "X-Forwarded-Proto") else { return nil }
            return .json("{}", headers: [("Access-Control-Allow-Origin", "*"), ("Mcp-Session-Id", "s")])
        }) { _ in .results([]) }
        try await TestGateway.with(upstream, changes, body)
    }

    @Test func aCookieIsNotServedToAForeignPage() async throws {
        try await with(["allowedOrigins": ["https://ok.example"]]) { (test) async throws in
            let cookie: CurlHeaders = [("Cookie", "sessionid=a")]
            for site in ["cross-site", "same-site"] {
                let refused = try await test.chat(Self.search, headers: cookie + [("Sec-Fetch-Site", site)])
                #expect(refused.status == 403)
                #expect(refused.json == ["error": "Origin not allowed"])
                #expect(
                    try await test.send(
                        "POST", "/auth/logout", headers: cookie + [("Sec-Fetch-Site", site)], body: ""
                    ).status == 403)
                // A link from elsewhere, and a page without the cookie.
                #expect(
                    try await test.send("GET", "/auth/me", headers: cookie + [("Sec-Fetch-Site", site)]).status == 200)
                #expect(try await test.chat(Self.search, headers: [("Sec-Fetch-Site", site)]).status == 200)
            }
            let allowed: CurlHeaders = [("Origin", "https://ok.example"), ("Sec-Fetch-Site", "cross-site")]
            #expect(try await test.chat(Self.search, headers: cookie + allowed).status == 200)
            #expect(
                try await test.chat(Self.search, headers: cookie + [("Sec-Fetch-Site", "same-origin")]).status == 200)
        }
    }

    @Test func withoutConfigurationNothingIsShared() async throws {
        try await with([:]) { (test) async throws in
            let preflight: CurlHeaders = [
                ("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST"),
            ]
            let response = try await test.send("OPTIONS", "/api/chat/", headers: preflight)
            #expect(response.status == 405)
            #expect(!response.headers.contains(name: "Access-Control-Allow-Origin"))
            let foreign = try await test.chat(Self.search, headers: [("Origin", "https://app.example")])
            #expect(foreign.status == 403)
            let chat = try await test.chat(Self.search, headers: [("Origin", test.url("").lowercased())])
            #expect(chat.status == 200)
            #expect(!chat.headers.contains(name: "Access-Control-Allow-Origin"))
            #expect(!chat.headers.contains(name: "Vary"))
            // What the upstream says about sharing passes as long as the gateway says nothing.
            #expect(
                try await test.send("GET", "/mcp/").headers.all(name: "Access-Control-Allow-Origin") == ["*"])
        }
    }

    @Test(arguments: ["/api/chat/", "/api/chat", "/mcp/", "/mcp", "/auth/login"])
    func aPreflightIsAnswered(_ path: String) async throws {
        try await with(["cors": ["origins": ["https://app.example"], "headers": ["X-Extra"], "maxAge": "5m"]]) {
            (test) async throws in
            let preflight: CurlHeaders = [
                ("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "content-type,mcp-session-id, x-extra,x-other"),
            ]
            let response = try await test.send("OPTIONS", path, headers: preflight)
            #expect(response.status == 204)
            #expect(response.body.readableBytes == 0)
            #expect(response.headers.all(name: "Access-Control-Allow-Origin") == ["https://app.example"])
            #expect(
                response.headers.first(name: "Access-Control-Allow-Headers") == "content-type, mcp-session-id, x-extra")
            #expect(response.headers.first(name: "Access-Control-Allow-Methods")?.contains("POST") == true)
            #expect(response.headers.first(name: "Access-Control-Max-Age") == "300")
            #expect(!response.headers.contains(name: "Access-Control-Allow-Credentials"))
            #expect(response.headers.all(name: "Vary").joined(separator: ", ").contains("Origin"))

            let foreign = try await test.send(
                "OPTIONS", path,
                headers: [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")])
            #expect(foreign.status != 204)
            #expect(!foreign.headers.contains(name: "Access-Control-Allow-Origin"))
            #expect(foreign.headers.all(name: "Vary").contains("Origin"))
        }
    }

    @Test func aSharedAnswerSaysSo() async throws {
        try await with(["cors": ["origins": ["https://app.example"], "credentials": true]]) { (test) async throws in
            let page: CurlHeaders = [("Origin", "https://app.example"), ("Sec-Fetch-Site", "cross-site")]
            let responses = [
                try await test.chat(Self.search, headers: page + [("Cookie", "sessionid=a")]),
                try await test.chat("{", headers: page),
                try await test.send("POST", "/mcp/", headers: page, body: "{}"),
            ]
            #expect(responses.map(\.status) == [200, 400, 200])
            for response in responses {
                #expect(response.headers.all(name: "Access-Control-Allow-Origin") == ["https://app.example"])
                #expect(response.headers.all(name: "Access-Control-Allow-Credentials") == ["true"])
                let exposed = response.headers.first(name: "Access-Control-Expose-Headers") ?? ""
                for name in ["X-Request-Id", "Mcp-Session-Id", "WWW-Authenticate"] { #expect(exposed.contains(name)) }
                #expect(response.headers.all(name: "Vary").contains("Origin"))
            }
            let foreign = try await test.chat(
                Self.search, headers: [("Origin", "https://evil.example"), ("Cookie", "sessionid=a")])
            #expect(foreign.status == 403)
            #expect(!foreign.headers.contains(name: "Access-Control-Allow-Origin"))
            // No cache may give the answer for one origin to another, or to none.
            #expect(try await test.chat(Self.search).headers.all(name: "Vary").contains("Origin"))
        }
    }

    @Test func sharingWithoutCredentialsIsNoLicenceToUseCookies() async throws {
        try await with(["cors": ["origins": ["https://app.example"]]]) { (test) async throws in
            let page: CurlHeaders = [("Origin", "https://app.example")]
            #expect(try await test.chat(Self.search, headers: page).status == 200)
            #expect(try await test.send("POST", "/mcp/", headers: page, body: "{}").status == 200)
            for path in ["/api/chat/", "/mcp/"] {
                let cookie = page + [("Cookie", "sessionid=a")]
                #expect(try await test.send("POST", path, headers: cookie, body: Self.search).status == 403)
            }
        }
    }

    @Test func everybodyMayReadWhereAStarSaysSo() async throws {
        try await with(["cors": ["origins": ["*"]]]) { (test) async throws in
            let response = try await test.chat(Self.search, headers: [("Origin", "https://any.example")])
            #expect(response.headers.all(name: "Access-Control-Allow-Origin") == ["*"])
            #expect(
                try await test.chat(
                    Self.search, headers: [("Origin", "https://any.example"), ("Cookie", "sessionid=a")]
                ).status == 403)
        }
    }

    @Test(
        arguments: [
            ["origins": ["*"], "credentials": true], ["origins": ["*", "https://a.example"]],
            ["origins": ["a.example"]],
            ["origins": ["https://a.example/"]], ["origins": ["https://*.a.example"]], ["headers": ["a b"]],
        ] as [JSONValue])
    func aCarelessPolicyIsRefused(_ cors: JSONValue) throws {
        let document = try TestConfiguration.document(upstream: "http://127.0.0.1:1", ["cors": cors])
        let error = #expect(throws: ConfigurationErrors.self) { try TestConfiguration.read(document) }
        #expect("\(try #require(error))".contains("cors."))
    }
}
