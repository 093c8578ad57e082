import Foundation
import JSON
import NIOHTTP1
import Testing

@testable import Identity
@testable import OAuthServer
@testable import Store
@testable import ToolServerCore

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

    @Test(arguments: [
        ("127.0.0.1", false), ("127.255.255.254", false), ("0.0.0.0", false), ("10.1.2.3", false),
        ("172.16.0.1", false), ("172.31.255.255", false), ("172.32.0.1", true), ("192.168.1.1", false),
        ("169.254.169.254", false), ("100.64.0.1", false), ("198.18.0.1", false), ("224.0.0.1", false),
        ("255.255.255.255", false), ("192.0.2.1", false), ("93.184.216.34", true), ("8.8.8.8", true), ("::1", false),
        ("::", false), ("fe80::1", false), ("fc00::1", false), ("fd12::1", false), ("ff02::1", false),
        ("::ffff:127.0.0.1", false), ("::ffff:8.8.8.8", true), ("::127.0.0.1", false), ("64:ff9b::10.0.0.1", false),
        ("64:ff9b::8.8.8.8", true), ("2002:7f00:1::", false), ("2001:db8::1", false), ("2001::1", false),
        ("2606:4700::1111", true), ("3fff::1", false),
    ])
    func onlyPublicAddressesAreConnectedTo(text: String, isPublic: Bool) throws {
        var bytes = [UInt8](repeating: 0, count: text.contains(":") ? 16 : 4)
        #expect(inet_pton(text.contains(":") ? AF_INET6 : AF_INET, text, &bytes) == 1)
        #expect(PublicAddress.contains(bytes) == isPublic)
    }
}
