import Crypto
import JSON
import JWTKit
import MCP
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import OAuthServer
@testable import Store

@Suite struct SigningKeyTests {
    @Test(arguments: Engine.allCases)
    func aReplacedKeyIsPublishedUntilItsTokensEnd(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine, settings: ["keyRotation": "1d"])
        func ids() async throws -> [String] {
            let set = try JSONValue(parsing: await fixture.server.keys.keySet())
            return set["keys"]?.array?.compactMap { $0["kid"]?.string } ?? []
        }
        func kid(_ token: String) throws -> String? {
            let header = try #require(Base64URL.decode(String(token.split(separator: ".")[0])))
            return try JSONValue(parsing: header)["kid"]?.string
        }
        let first = try await ids()
        #expect(first.count == 1)
        #expect(try await ids() == first)
        fixture.advance(86_400)
        let both = try await ids()
        #expect(both.count == 2 && both.last == first[0])
        // The new key is known everywhere before it signs.
        let early = try #require(await fixture.redeem(try await fixture.code()).json["access_token"]?.string)
        #expect(try kid(early) == first[0])
        fixture.advance(600)
        let later = try #require(await fixture.redeem(try await fixture.code()).json["access_token"]?.string)
        #expect(try kid(later) == both[0])
        #expect(try await fixture.principal(later) != nil)
        for _ in 0..<4 {
            fixture.advance(86_400)
            _ = try await ids()
        }
        #expect(try await !ids().contains(first[0]))
        #expect(try await ids().count <= 3)
    }

    @Test func forgedTokensAreNobodys() async throws {
        let fixture = try await OAuthFixture()
        let token = try #require(await fixture.redeem(try await fixture.code()).json["access_token"]?.string)
        let parts = token.split(separator: ".").map(String.init)
        let set = try await fixture.server.keys.keySet()
        let kid = try #require(try JSONValue(parsing: set)["keys"]?[0]?["kid"]?.string)
        func header(_ changes: JSONObject) -> String {
            var header: JSONObject = ["alg": "ES256", "typ": "at+jwt", "kid": .string(kid)]
            for (key, value) in changes { header[key] = value }
            return Base64URL.encode(JSONValue.object(header).serialized)
        }
        let symmetric = header(["alg": "HS256"]) + "." + parts[1]
        let forged = HMAC<SHA256>.authenticationCode(for: Array(symmetric.utf8), using: SymmetricKey(data: set))
        let other = P256.Signing.PrivateKey()
        let signed = header(["jwk": "x"]) + "." + parts[1]
        let external = try other.signature(for: Array(signed.utf8)).rawRepresentation
        for forgery in [
            header(["alg": "none"]) + "." + parts[1] + ".", symmetric + "." + Base64URL.encode(forged),
            signed + "." + Base64URL.encode(external),
            header(["kid": "../../dev/null"]) + "." + parts[1] + "." + parts[2],
            header(["typ": "JWT"]) + "." + parts[1] + "." + parts[2], parts[0] + "." + parts[1] + ".",
            parts[0] + "." + Base64URL.encode(Array("{}".utf8)) + "." + parts[2],
        ] {
            #expect(try await fixture.principal(forgery) == nil, "\(forgery)")
        }
        // An access token renews nothing.
        #expect(await fixture.refresh(token).error == "invalid_grant")
    }
}
