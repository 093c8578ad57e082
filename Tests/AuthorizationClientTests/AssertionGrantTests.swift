import CurlTransport
import HTTPSyntax
import JSON
import NIOCore
import Synchronization
import Testing

@testable import AuthorizationClient

/// Grants by a signed assertion: of a workload, and of an enterprise's identity provider.
@Suite struct AssertionGrantTests {
    @Test func anAssertionIsAGrantOfItsOwn() {
        let all = AssertionGrant.fields(assertion: "a.b.c", scope: ScopeSet("read write"), resource: "https://m/mcp")
        #expect(
            PercentEncoding.form(all)
                == "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c"
                + "&scope=read%20write&resource=https%3A%2F%2Fm%2Fmcp")
        let least = AssertionGrant.fields(assertion: "a", scope: ScopeSet(), resource: nil)
        #expect(least.map(\.name) == ["grant_type", "assertion"])
    }

    @Test func theProviderIsAskedForAnAssertionForTheServer() {
        let fields = AssertionGrant.exchange(
            identity: "i.d.t", issuer: "https://as.example", scope: ScopeSet("read"), resource: "https://m/mcp")
        let values = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
        #expect(
            values == [
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag", "subject_token": "i.d.t",
                "subject_token_type": "urn:ietf:params:oauth:token-type:id_token", "audience": "https://as.example",
                "resource": "https://m/mcp", "scope": "read",
            ])
    }

    private func assertion(_ answer: JSONValue, status: Int = 200) async throws -> String {
        try await TokenRequest(
            endpoint: "https://idp.example/token", audience: "https://idp.example",
            client: ClientIdentity(id: "g", proof: .none), authentication: .none,
            fields: AssertionGrant.exchange(identity: "i", issuer: "https://as", scope: ScopeSet(), resource: nil)
        ).sendForAssertion(type: AssertionGrant.identityAssertion) { _ in
            CurlResponse(status: status, body: ByteBuffer(bytes: answer.serialized))
        }
    }

    @Test func onlyAnAssertionIsTakenForOne() async throws {
        let right: JSONObject = [
            "access_token": "j.a.g", "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            "token_type": "N_A",
        ]
        #expect(try await assertion(.object(right)) == "j.a.g")
        for (name, value) in [
            ("token_type", "Bearer"), ("token_type", .null), ("access_token", ""), ("access_token", .null),
            ("issued_token_type", "urn:ietf:params:oauth:token-type:access_token"), ("issued_token_type", .null),
        ] as [(String, JSONValue)] {
            var wrong = right
            wrong[name] = value
            await #expect(throws: AuthorizationError.self, "\(name)") { try await assertion(.object(wrong)) }
        }
        // The provider refuses the user's token, not this client.
        await #expect(throws: AuthorizationError.callerRefused("the token endpoint answered 400 invalid_grant")) {
            try await assertion(["error": "invalid_grant"], status: 400)
        }
        await #expect(throws: AuthorizationError.refused("the token endpoint answered 401 invalid_client")) {
            try await assertion(["error": "invalid_client"], status: 401)
        }
    }
}
