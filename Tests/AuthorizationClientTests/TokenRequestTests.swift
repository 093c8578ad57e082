import Crypto
import CurlTransport
import Foundation
import JSON
import NIOCore
import Synchronization
import Testing

@testable import AuthorizationClient

@Suite struct TokenRequestTests {
    private func send(
        _ client: ClientIdentity, _ authentication: ClientAuthentication,
        fields: [(name: String, value: String)] = [("grant_type", "client_credentials")],
        answer: JSONValue = ["access_token": "t", "token_type": "bearer"], status: Int = 200
    ) async throws -> (AccessToken, CurlRequest) {
        let sent = Mutex<CurlRequest?>(nil)
        let request = TokenRequest(
            endpoint: "https://as.example/token", audience: "https://as.example", client: client,
            authentication: authentication, fields: fields)
        let token = try await request.send { request in
            sent.withLock { $0 = request }
            return CurlResponse(status: status, body: ByteBuffer(bytes: answer.serialized))
        }
        return (token, try #require(sent.withLock { $0 }))
    }

    private func text(_ request: CurlRequest) -> String {
        if case .bytes(let bytes) = request.body { String(buffer: bytes) } else { "" }
    }

    @Test func aSecretGoesInOnePlace() async throws {
        let client = ClientIdentity(id: "gate way", proof: .secret("s&cret"))
        let (_, basic) = try await send(client, .basic)
        #expect(
            basic.headers.first(name: "Authorization")
                == "Basic " + Data("gate%20way:s%26cret".utf8).base64EncodedString())
        #expect(text(basic) == "grant_type=client_credentials")
        let (_, post) = try await send(client, .post)
        #expect(post.headers.first(name: "Authorization") == nil)
        #expect(text(post) == "grant_type=client_credentials&client_id=gate%20way&client_secret=s%26cret")
        let (_, none) = try await send(ClientIdentity(id: "g", proof: .none), .none)
        #expect(text(none) == "grant_type=client_credentials&client_id=g")
    }

    @Test func aKeySignsAnAssertionForTheIssuer() async throws {
        let key = P256.Signing.PrivateKey()
        let client = ClientIdentity(id: "g", proof: .key(pem: key.pemRepresentation, keyID: nil))
        let (_, request) = try await send(client, .privateKey)
        let fields = text(request).split(separator: "&")
        #expect(fields.contains("client_id=g"))
        let assertion = try #require(fields.first { $0.hasPrefix("client_assertion=") }).dropFirst(17)
        let claims = try #require(Self.part(1, of: String(assertion)))
        #expect(claims["aud"] == "https://as.example")
        await #expect(throws: AuthorizationError.refused("the private key cannot be used")) {
            _ = try await send(ClientIdentity(id: "g", proof: .key(pem: "x", keyID: nil)), .privateKey)
        }
    }

    @Test(
        arguments: [
            (nil, .basic), (["client_secret_post", "client_secret_basic"], .basic),
            (["private_key_jwt", "client_secret_post"], .post), (["private_key_jwt"], nil), ([], nil),
        ] as [([String]?, ClientAuthentication?)])
    func theServersMetadataDecides(_ supported: [String]?, _ expected: ClientAuthentication?) throws {
        let chosen = try? ClientAuthentication.choose(for: .secret("s"), supported: supported)
        #expect(chosen == expected)
        #expect(try ClientAuthentication.choose(for: .key(pem: "", keyID: nil), supported: supported) == .privateKey)
        #expect(try ClientAuthentication.choose(for: .none, supported: supported) == .none)
    }

    @Test func theResponseIsReadWithinBounds() async throws {
        let client = ClientIdentity(id: "g", proof: .none)
        let (token, _) = try await send(
            client, .none,
            answer: ["access_token": "t", "expires_in": 1e300, "refresh_token": "r", "scope": "a b"])
        #expect(token.lifetime == .seconds(86_400))
        #expect(token.refreshToken == "r")
        #expect(token.scope?.names == ["a", "b"])
        for expiry: JSONValue in ["60", 60] {
            let (token, _) = try await send(client, .none, answer: ["access_token": "t", "expires_in": expiry])
            #expect(token.lifetime == .seconds(60))
        }
        let (plain, _) = try await send(client, .none, answer: ["access_token": "t", "expires_in": .null])
        #expect(plain.lifetime == .seconds(300))
    }

    @Test(
        arguments: [
            ["access_token": ""], ["access_token": "a b"], ["access_token": "a\r\nX: y"], ["access_token": 1], [:], [],
            ["access_token": "t", "token_type": "DPoP"],
        ] as [JSONValue])
    func anUnusableTokenIsRefused(_ answer: JSONValue) async {
        await #expect(throws: AuthorizationError.self) {
            _ = try await send(ClientIdentity(id: "g", proof: .none), .none, answer: answer)
        }
    }

    @Test func errorsSayWhoIsRefused() async {
        func error(_ status: Int, _ code: String, exchange: Bool = false) async -> AuthorizationError? {
            let fields = exchange ? [(name: "subject_token", value: "x")] : []
            do {
                _ = try await send(
                    ClientIdentity(id: "g", proof: .none), .none, fields: fields, answer: ["error": .string(code)],
                    status: status)
                return nil
            } catch {
                return error as? AuthorizationError
            }
        }
        #expect(await error(400, "invalid_grant") == .refused("the token endpoint answered 400 invalid_grant"))
        #expect(
            await error(400, "invalid_grant", exchange: true)
                == .callerRefused("the token endpoint answered 400 invalid_grant"))
        #expect(
            await error(401, "invalid_client", exchange: true)
                == .refused("the token endpoint answered 401 invalid_client"))
        #expect(await error(503, "") == .unreachable("the token endpoint answered 503 "))
        #expect(await error(302, "") == .refused("the token endpoint answered 302 "))
    }

    @Test func anAssertionIsSignedWithTheKey() throws {
        let key = P256.Signing.PrivateKey()
        let signing = try #require(ClientAssertion.Key(pem: key.pemRepresentation))
        let text = try ClientAssertion.make(
            clientID: "g", audience: "https://as/token", key: signing, keyID: "k1",
            now: Date(timeIntervalSince1970: 1000))
        let header = try #require(Self.part(0, of: text))
        let claims = try #require(Self.part(1, of: text))
        #expect(header["alg"] == "ES256")
        #expect(header["kid"] == "k1")
        #expect(claims["sub"] == "g")
        #expect(claims["aud"] == "https://as/token")
        #expect(claims["exp"] == 1060)
        let parts = text.split(separator: ".").map(String.init)
        let signature = try P256.Signing.ECDSASignature(rawRepresentation: #require(Self.decoded(parts[2])))
        #expect(key.publicKey.isValidSignature(signature, for: Data((parts[0] + "." + parts[1]).utf8)))
    }

    private static func part(_ index: Int, of assertion: String) -> JSONValue? {
        let parts = assertion.split(separator: ".").map(String.init)
        guard parts.count == 3, let bytes = decoded(parts[index]) else { return nil }
        return try? JSONValue(parsing: Array(bytes))
    }

    private static func decoded(_ part: String) -> Data? {
        var base64 = part.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        return Data(base64Encoded: base64)
    }
}
