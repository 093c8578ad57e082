import Foundation
import JSON
import NIOHTTP1
import Testing
import ToolServerTestSupport

@testable import OAuthServer
@testable import Store

/// Clients that have registered themselves: how long they are kept, and how many.
@Suite struct RegistrationTests {
    private static let day = 86_400.0

    private func register(_ fixture: OAuthFixture) async -> OAuthReply {
        let metadata: JSONValue = ["client_name": "Desk", "redirect_uris": [.string(OAuthFixture.redirect)]]
        return await fixture.server.respond(
            to: OAuthRequest(method: .POST, target: "/oauth/register", headers: [:], body: metadata.serialized))
    }

    private func registered(_ fixture: OAuthFixture) async throws -> String {
        let reply = await register(fixture)
        return try #require(reply.json["client_id"]?.string, "\(reply.text)")
    }

    /// Returns whether the client is known, without using it.
    private func isKept(_ id: String, _ fixture: OAuthFixture) async throws -> Bool {
        try await fixture.store.oauthClient(id: id, at: .distantPast) != nil
    }

    @Test(arguments: Engine.allCases)
    func aClientThatIsNotUsedIsRemovedAndMakesRoom(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine, settings: ["maxRegistrations": 2])
        let unused = try await registered(fixture)
        let used = try await registered(fixture)
        #expect(await register(fixture).status == .serviceUnavailable)
        fixture.advance(29 * Self.day)
        // A request that names it is a use, also one that nobody answers.
        let changes: [String: String?] = ["client_id": used]
        #expect(await fixture.get("/oauth/authorize", OAuthFixture.parameters(changes)).status == .ok)
        try await fixture.server.sweep()
        #expect(try await isKept(unused, fixture))
        fixture.advance(Self.day + 1)
        try await fixture.server.sweep()
        #expect(try await !isKept(unused, fixture))
        #expect(try await isKept(used, fixture))
        let page = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["client_id": unused]), try await fixture.cookie())
        #expect(page.status == .badRequest)
        #expect(page.headers.first(name: "Location") == nil)
        // Only a client that was not used for an hour makes room for another.
        #expect(await fixture.get("/oauth/authorize", OAuthFixture.parameters(changes)).status == .ok)
        _ = try await registered(fixture)
        #expect(await register(fixture).status == .serviceUnavailable)
    }

    @Test(arguments: Engine.allCases)
    func aClientWithAGrantIsKeptUntilItEnds(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine)
        let id = try await registered(fixture)
        let client: [String: String?] = ["client_id": id]
        var token = try #require(
            await fixture.redeem(try await fixture.code(client), client).json["refresh_token"]?.string)
        for _ in 0..<3 {
            fixture.advance(25 * Self.day)
            token = try #require(await fixture.refresh(token, client).json["refresh_token"]?.string)
            try await fixture.server.sweep()
            #expect(try await isKept(id, fixture))
        }
        // The grant lives for as long as the client may be unused: one sweep removes both.
        fixture.advance(30 * Self.day + 1)
        try await fixture.server.sweep()
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
        #expect(try await !isKept(id, fixture))
        #expect(await fixture.refresh(token, client).error == "invalid_client")
    }

    @Test func aWithdrawnGrantKeepsNoClient() async throws {
        let fixture = try await OAuthFixture(settings: ["refreshLifetime": "365d"])
        let id = try await registered(fixture)
        _ = try await fixture.code(["client_id": id])
        fixture.advance(31 * Self.day)
        try await fixture.server.sweep()
        #expect(try await isKept(id, fixture))
        let grant = try #require(try await fixture.store.oauthGrants(userID: nil).first)
        _ = try await fixture.store.deleteOAuthGrant(id: grant.id, userID: nil)
        try await fixture.server.sweep()
        #expect(try await !isKept(id, fixture))
    }
}
