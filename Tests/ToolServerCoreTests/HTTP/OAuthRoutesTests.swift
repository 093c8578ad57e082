import Foundation
import JSON
import MCPServer
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import OAuthServer
@testable import Store
@testable import ToolServerCore

/// The authorization server on the main port.
@Suite struct OAuthRoutesTests {
    private static let settings: JSONObject = [
        "publicURL": "http://localhost:8001/mcp", "requireAuthentication": true,
        "oauth": ["clients": ["app": ["redirectURIs": [.string(OAuthFixture.redirect)]]]],
        "tools": ["search_any": ["scopes": ["records:read"]], "chat": ["scopes": ["chat"]]],
    ]

    @Test func aChallengeLeadsToTheServerAndItsTokenIsAccepted() async throws {
        try await ToolFixture.serving(Self.settings) { client, fixture in
            let refused = try await client.post("/mcp/get_user_info", "{}")
            #expect(refused.status == 401)
            #expect(refused.header("WWW-Authenticate")?.contains("/.well-known/oauth-protected-resource/mcp") == true)
            let resource = try await client.get("/.well-known/oauth-protected-resource/mcp").json
            #expect(resource["authorization_servers"] == ["http://localhost:8001"])
            #expect(resource["scopes_supported"] == ["chat", "records:read"])
            let metadata = try await client.get("/.well-known/oauth-authorization-server").json
            #expect(metadata["token_endpoint"] == "http://localhost:8001/oauth/token")

            let token = try await token(client, fixture)
            let bearer = [("Authorization", "Bearer " + token)]
            let user = try await client.post("/mcp/get_user_info", "{}", headers: bearer)
            #expect(try user.json == ["results": ["username": "alice", "alias": "Al"]])
            #expect(
                try await client.post("/mcp/search_any", #"{"model":"projects","query":"x"}"#, headers: bearer).status
                    == 200)
            let stepUp = try await client.post("/mcp/chat", #"{"message":"x"}"#, headers: bearer)
            #expect(stepUp.status == 403)
            #expect(stepUp.header("WWW-Authenticate")?.contains(#"error="insufficient_scope", scope="chat""#) == true)
            #expect(stepUp.header("WWW-Authenticate")?.contains("resource_metadata=") == true)
            for forged in [token + "x", "x.y.z", String(token.dropLast(3))] {
                let reply = try await client.post(
                    "/mcp/get_user_info", "{}", headers: [("Authorization", "Bearer " + forged)])
                #expect(reply.status == 401)
            }
            let inQuery = try await client.post("/mcp/get_user_info?access_token=\(token)", "{}")
            #expect(inQuery.status == 401)
        }
    }

    private func token(_ client: HTTPTestClient, _ fixture: ToolFixture) async throws -> String {
        let cookie = [
            ("Cookie", "sessionid=" + (try await fixture.toolServer.login.openSession(for: fixture.alice)).text)
        ]
        let form = [("Content-Type", "application/x-www-form-urlencoded")]
        let query = FormFields.encode(OAuthFixture.parameters(["resource": "http://localhost:8001/mcp"]))
        let page = try await client.send("GET", "/oauth/authorize?" + query, headers: cookie)
        #expect(page.header("X-Frame-Options") == "DENY")
        let html = String(decoding: page.body, as: UTF8.self)
        let sealed = try #require(html.firstMatch(of: #/name="request" value="([^"]*)"/#)?.1)
        let body = FormFields.encode([("request", String(sealed)), ("decision", "allow")])
        let external = try await client.post(
            "/oauth/consent", body, headers: cookie + form + [("Origin", "https://evil.example")])
        #expect(external.status == 403)
        let consent = try await client.post("/oauth/consent", body, headers: cookie + form)
        let location = try #require(consent.header("Location").flatMap { URLComponents(string: $0) })
        let code = try #require(location.queryItems?.first { $0.name == "code" }?.value)
        let redeemed = try await client.post(
            "/oauth/token",
            FormFields.encode([
                ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", OAuthFixture.redirect),
                ("client_id", "app"), ("code_verifier", OAuthFixture.verifier),
            ]), headers: form)
        return try #require(redeemed.json["access_token"]?.string)
    }

    @Test func aForeignPageLogsNobodyIn() async throws {
        try await ToolFixture.serving(Self.settings) { client, _ in
            let reply = try await client.post(
                "/oauth/login",
                FormFields.encode([
                    ("continue", "/oauth/grants"), ("username", "alice"), ("password", "alice's password"),
                ]),
                headers: [
                    ("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://evil.example"),
                ])
            #expect(reply.status == 403)
            #expect(reply.header("Set-Cookie") == nil)
        }
    }

    @Test(
        arguments: [
            (["publicURL": "http://chat.example/mcp"], "publicURL"), (["publicURL": .null], "publicURL"),
            (["identity": ["apiKey"]], "identity"), (["oauth": ["loginURL": "//evil.example/"]], "oauth.loginURL"),
            (["oauth": ["clients": ["a": ["redirectURIs": ["http://a.example/"]]]]], "oauth.clients.a.redirectURIs"),
            (["oauth": ["clients": ["a": [:]]]], "oauth.clients.a.redirectURIs"),
        ] as [(JSONObject, String)])
    func whatCannotIssueTokensSafelyIsRefused(changes: JSONObject, key: String) {
        var section = Self.settings
        for (name, value) in changes { section[name] = value }
        let errors = #expect(throws: (any Error).self) {
            try ToolServerConfiguration(document: ["toolServer": .object(section)], environment: [:])
        }
        #expect("\(errors.map { "\($0)" } ?? "")".contains("toolServer." + key))
    }

    @Test func withoutTheSectionThereIsNoServer() async throws {
        try await ToolFixture.serving { client, _ in
            for path in ["/oauth/jwks", "/oauth/authorize", "/.well-known/oauth-authorization-server"] {
                let status = try await client.get(path).status
                #expect(status == 404)
            }
        }
    }

    @Test func anExportNamesTheGrantsAndDeletingEndsThem() async throws {
        let fixture = try await ToolFixture()
        let now = Date(timeIntervalSince1970: 1_790_000_000)
        let grant = OAuthGrant(
            id: "g", userID: fixture.alice.principal.id, clientID: "app", clientName: "The App", scopes: ["chat"],
            createdAt: now, usedAt: now, expiresAt: now.addingTimeInterval(60))
        let code = OAuthCode(
            digest: [UInt8](repeating: 1, count: 32), grantID: "g", redirectURI: "r", challenge: "c", expiresAt: now)
        try await fixture.store.insertOAuthGrant(grant, code: code)
        let data = fixture.toolServer.personalData
        let subject = try #require(try await data.subject(named: "alice"))
        var text = ""
        try await data.export(subject) { text += $0 }
        let exported = try JSONValue(parsing: text)
        #expect(exported["grants"]?[0]?["name"] == "The App")
        #expect(try await data.delete(subject).grants == 1)
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
        await fixture.toolServer.shutdown()
    }
}
