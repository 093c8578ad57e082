import Foundation
import JSON
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import OAuthServer
@testable import Store

@Suite struct ClientDocumentTests {
    private func document(_ changes: JSONObject = [:]) -> FetchedDocument {
        var metadata: JSONObject = [
            "client_id": .string(OAuthFixture.document), "client_name": "Desk",
            "redirect_uris": [.string(OAuthFixture.redirect)],
        ]
        for (key, value) in changes { metadata[key] = value }
        return FetchedDocument(
            status: 200, cacheControl: ["public, max-age=120"], body: JSONValue.object(metadata).serialized)
    }

    @Test func aClientIsKnownByItsDocumentWhichIsKept() async throws {
        let fixture = try await OAuthFixture()
        fixture.network.withLockedValue { $0[OAuthFixture.document] = document() }
        let changes = ["client_id": OAuthFixture.document]
        let page = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(changes), try await fixture.cookie())
        #expect(page.text.contains("Desk") && page.text.contains("client.example"))
        #expect(await fixture.redeem(try await fixture.code(changes), changes).status == .ok)
        #expect(fixture.fetches.withLockedValue { $0.count } == 1)
        fixture.advance(121)
        _ = try await fixture.code(changes)
        #expect(fixture.fetches.withLockedValue { $0.count } == 2)
    }

    @Test func nobodyUnknownMakesTheServerFetchAnything() async throws {
        let fixture = try await OAuthFixture()
        for prompt in [nil, "none"] as [String?] {
            let changes = ["client_id": OAuthFixture.document, "prompt": prompt]
            let reply = await fixture.get("/oauth/authorize", OAuthFixture.parameters(changes))
            #expect(reply.headers.first(name: "Location") == nil)
        }
        #expect(fixture.fetches.withLockedValue { $0.isEmpty })
    }

    /// At the token endpoint anybody may name a document; the code or token that comes along decides, without it.
    @Test func aTokenRequestMakesTheServerFetchNothing() async throws {
        let fixture = try await OAuthFixture()
        let client: [String: String?] = ["client_id": OAuthFixture.document]
        #expect(await fixture.redeem(String(repeating: "A", count: 43), client).error == "invalid_grant")
        #expect(await fixture.refresh(String(repeating: "A", count: 43), client).error == "invalid_grant")
        let revoked = await fixture.post("/oauth/revoke", [("token", "x"), ("client_id", OAuthFixture.document)])
        #expect(revoked.status == .ok)
        #expect(fixture.fetches.withLockedValue { $0.isEmpty })

        // A replica that has never read the document, and one whose client's server is away.
        fixture.network.withLockedValue { $0[OAuthFixture.document] = document() }
        let code = try await fixture.code(client)
        let other = try await fixture.code(client)
        fixture.network.withLockedValue { $0 = [:] }
        let replica = try await OAuthFixture(sharing: fixture)
        let tokens = await replica.redeem(code, client)
        #expect(tokens.status == .ok, "\(tokens.text)")
        let refresh = try #require(tokens.json["refresh_token"]?.string)
        #expect(
            await replica.refresh(refresh, ["client_id": "https://client.example/other.json"]).error == "invalid_grant")
        let renewed = await replica.refresh(refresh, client)
        #expect(renewed.status == .ok)
        #expect(replica.fetches.withLockedValue { $0.isEmpty })
        // Only the document says whether the redirect URI may be left out, and only a right code has it read.
        fixture.network.withLockedValue { $0[OAuthFixture.document] = document() }
        let unnamed: [String: String?] = ["client_id": OAuthFixture.document, "redirect_uri": nil]
        #expect(await replica.redeem(other, unnamed).status == .ok)
        #expect(replica.fetches.withLockedValue { $0.count } == 1)
        let last = try #require(renewed.json["refresh_token"]?.string)
        _ = await replica.post("/oauth/revoke", [("token", last), ("client_id", OAuthFixture.document)])
        #expect(await replica.refresh(last, client).error == "invalid_grant")
    }

    @Test(
        arguments: [
            ["client_id": "https://other.example/metadata.json"], ["client_id": .null], ["redirect_uris": []],
            ["redirect_uris": ["http://evil.example/"]], ["token_endpoint_auth_method": "client_secret_post"],
            ["response_types": ["token"]],
        ] as [JSONObject])
    func aDocumentThatDoesNotFitIsRefused(changes: JSONObject) async throws {
        let fixture = try await OAuthFixture()
        fixture.network.withLockedValue { $0[OAuthFixture.document] = document(changes) }
        for _ in 0..<3 {
            let reply = await fixture.get(
                "/oauth/authorize", OAuthFixture.parameters(["client_id": OAuthFixture.document]),
                try await fixture.cookie())
            #expect(reply.status == .badRequest)
        }
        // A failure is kept for a while, too.
        #expect(fixture.fetches.withLockedValue { $0.count } == 1)
    }

    @Test(arguments: [
        FetchedDocument(status: 404, body: []), FetchedDocument(status: 302, body: Array("{}".utf8)),
        FetchedDocument(status: 200, body: Array("[".utf8)),
        FetchedDocument(status: 200, body: [UInt8](repeating: 0x20, count: 10 << 20)),
    ])
    func whatIsNoDocumentIsRefused(fetched: FetchedDocument) async throws {
        let fixture = try await OAuthFixture()
        fixture.network.withLockedValue { $0[OAuthFixture.document] = fetched }
        let reply = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["client_id": OAuthFixture.document]),
            try await fixture.cookie())
        #expect(reply.status == .badRequest)
    }

    @Test(arguments: [
        "http://client.example/a", "https://client.example", "https://client.example/", "https://u@client.example/a",
        "https://client.example/a#b", "https://client.example/../a", "https://client.example/./a", "https:///a", "app",
        "https://client.example:99999/a",
    ])
    func whatIsNoURLOfADocumentIsNotFetched(id: String) async throws {
        let fixture = try await OAuthFixture()
        let reply = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["client_id": id]), try await fixture.cookie())
        #expect(id == "app" || reply.status == .badRequest)
        #expect(fixture.fetches.withLockedValue { $0.isEmpty })
    }
}
