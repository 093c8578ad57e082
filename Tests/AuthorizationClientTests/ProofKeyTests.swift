import Crypto
import CurlTransport
import Foundation
import JSON
import NIOCore
import Synchronization
import Testing

@testable import AuthorizationClient

/// Proofs of possession (RFC 9449), and tokens that are bound to their key.
@Suite struct ProofKeyTests {
    private static let now = Date(timeIntervalSince1970: 1000)

    /// Parts of a proof whose signature is that of the key which it names.
    private struct Proof {
        let header: JSONValue
        let claims: JSONValue

        init(_ text: String) throws {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            try #require(parts.count == 3)
            header = try JSONValue(parsing: Array(Self.decoded(parts[0])))
            claims = try JSONValue(parsing: Array(Self.decoded(parts[1])))
            let point =
                try Self.decoded(#require(header["jwk"]?["x"]?.string))
                + Self.decoded(#require(header["jwk"]?["y"]?.string))
            let key = try P256.Signing.PublicKey(rawRepresentation: point)
            let signature = try P256.Signing.ECDSASignature(rawRepresentation: Self.decoded(parts[2]))
            #expect(key.isValidSignature(signature, for: Data((parts[0] + "." + parts[1]).utf8)))
        }

        static func decoded(_ part: String) throws -> Data {
            var base64 = part.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
            base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
            return try #require(Data(base64Encoded: base64))
        }
    }

    @Test func aProofIsForOneRequest() throws {
        let key = ProofKey()
        let url = "https://mcp.example/mcp?a=b"
        let proof = try Proof(key.proof(method: "POST", url: url, token: "abc", now: Self.now))
        #expect(proof.header["typ"] == "dpop+jwt")
        #expect(proof.header["alg"] == "ES256")
        #expect(proof.header["jwk"]?.object?.keys.sorted() == ["crv", "kty", "x", "y"])
        #expect(proof.claims["htm"] == "POST")
        // Neither query nor fragment (section 4.2).
        #expect(proof.claims["htu"] == "https://mcp.example/mcp")
        #expect(proof.claims["iat"] == 1000)
        // The base64url of SHA-256 of "abc".
        #expect(proof.claims["ath"] == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
        #expect(proof.claims["nonce"] == nil)
        let next = try Proof(key.proof(method: "POST", url: url, token: nil, now: Self.now))
        #expect(next.claims["ath"] == nil)
        #expect(next.claims["jti"] != proof.claims["jti"])
        #expect(next.header["jwk"] == proof.header["jwk"])
        let other = try Proof(ProofKey().proof(method: "POST", url: url, token: nil, now: Self.now))
        #expect(other.header["jwk"] != proof.header["jwk"])
        #expect(throws: AuthorizationError.self) {
            try key.proof(method: "POST", url: "mcp", token: nil, now: Self.now)
        }
    }

    @Test func aNonceGoesBackToItsServerAlone() throws {
        let key = ProofKey()
        func nonce(_ url: String) throws -> String? {
            try Proof(key.proof(method: "GET", url: url, token: nil, now: Self.now)).claims["nonce"]?.string
        }
        key.note(nonce: "n1", from: "https://as.example/token")
        #expect(try nonce("https://as.example/other") == "n1")
        #expect(try nonce("https://as.example:8443/token") == nil)
        #expect(try nonce("https://mcp.example/mcp") == nil)
        key.note(nonce: "n2", from: "https://as.example/token")
        for nonce in [nil, "", "a b", "\"", String(repeating: "n", count: 1025)] {
            key.note(nonce: nonce, from: "https://as.example/token")
        }
        #expect(try nonce("https://as.example/token") == "n2")
        for number in 0..<100 { key.note(nonce: "x", from: "https://as\(number).example/") }
        key.note(nonce: "n3", from: "https://as.example/token")
        #expect(try nonce("https://as.example/token") == "n3")
    }

    @Test func onlyARequestWithABoundTokenIsSigned() throws {
        let key = ProofKey()
        for (authorization, isSigned) in [("DPoP abc", true), ("Bearer abc", false), (nil, false)] {
            var request = CurlRequest(method: "POST", url: "https://mcp.example/mcp", mayResend: true)
            if let authorization { request.headers.append(name: "Authorization", value: authorization) }
            // A request that is sent again has one proof, not two.
            for _ in 0..<2 { key.sign(&request, now: Self.now) }
            #expect(request.headers.all(name: "DPoP").count == (isSigned ? 1 : 0))
            #expect(request.mayResend != isSigned)
            guard let text = request.headers.first(name: "DPoP") else { continue }
            #expect(try Proof(text).claims["ath"] == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
        }
    }

    // MARK: Token requests

    private func send(
        _ key: ProofKey?, _ script: @escaping @Sendable (Int) -> CurlResponse
    ) async throws -> (AccessToken, [CurlRequest]) {
        let sent = Mutex<[CurlRequest]>([])
        let token = try await request(key).send { request in
            script(
                sent.withLock { sent in
                    sent.append(request)
                    return sent.count
                })
        }
        return (token, sent.withLock { $0 })
    }

    private func request(_ key: ProofKey?) -> TokenRequest {
        TokenRequest(
            endpoint: "https://as.example/token", audience: "https://as.example",
            client: ClientIdentity(id: "g", proof: .none), authentication: .none,
            fields: [("grant_type", "authorization_code")], proofKey: key)
    }

    private static func response(_ status: Int, _ json: JSONValue, nonce: String? = nil) -> CurlResponse {
        var headers = CurlHeaders()
        if let nonce { headers.append(name: "DPoP-Nonce", value: nonce) }
        return CurlResponse(status: status, headers: headers, body: ByteBuffer(bytes: json.serialized))
    }

    @Test func aTokenIsBoundToTheKey() async throws {
        let key = ProofKey()
        let (token, sent) = try await send(key) { _ in
            Self.response(200, ["access_token": "t", "token_type": "dpop"], nonce: "next")
        }
        #expect(token.isBound)
        #expect(token.authorization == "DPoP t")
        let proof = try Proof(#require(sent.first?.headers.first(name: "DPoP")))
        #expect(proof.claims["htm"] == "POST")
        #expect(proof.claims["htu"] == "https://as.example/token")
        #expect(proof.claims["ath"] == nil)
        // A nonce may come with any response (section 8.2).
        let later = try Proof(key.proof(method: "POST", url: "https://as.example/token", token: nil, now: Self.now))
        #expect(later.claims["nonce"] == "next")
        let (bearer, plain) = try await send(nil) { _ in Self.response(200, ["access_token": "t"]) }
        #expect(bearer.authorization == "Bearer t")
        #expect(plain.first?.headers.contains(name: "DPoP") == false)
    }

    /// Neither an attacker in the middle nor an old server turns a bound token into a bearer token.
    @Test(arguments: ["Bearer", nil] as [String?])
    func anUnboundTokenIsRefused(type: String?) async {
        await #expect(throws: AuthorizationError.invalid("the token is of another type than DPoP")) {
            _ = try await send(ProofKey()) { _ in
                var answer: JSONObject = ["access_token": "t"]
                answer["token_type"] = type.map { .string($0) }
                return Self.response(200, .object(answer))
            }
        }
    }

    @Test func aServerThatWantsItsNonceGetsItOnce() async throws {
        let wanted: JSONValue = ["error": "use_dpop_nonce"]
        let (_, sent) = try await send(ProofKey()) { number in
            number == 1
                ? Self.response(400, wanted, nonce: "n1")
                : Self.response(200, ["access_token": "t", "token_type": "DPoP"])
        }
        let proofs = try sent.map { try Proof(#require($0.headers.first(name: "DPoP"))) }
        #expect(proofs.map { $0.claims["nonce"]?.string } == [nil, "n1"])
        #expect(proofs[0].claims["jti"] != proofs[1].claims["jti"])
        for (response, count) in [
            (Self.response(400, wanted, nonce: "n"), 2), (Self.response(400, wanted), 1),
            (Self.response(400, ["error": "invalid_grant"], nonce: "n"), 1),
        ] {
            let asked = Mutex(0)
            await #expect(throws: AuthorizationError.self) {
                _ = try await send(ProofKey()) { number in
                    asked.withLock { $0 = number }
                    return response
                }
            }
            #expect(asked.withLock { $0 } == count)
        }
        // Without a key there is no proof that a nonce could go into.
        let asked = Mutex(0)
        await #expect(throws: AuthorizationError.refused("the token endpoint answered 400 use_dpop_nonce")) {
            _ = try await send(nil) { number in
                asked.withLock { $0 = number }
                return Self.response(400, wanted, nonce: "n")
            }
        }
        #expect(asked.withLock { $0 } == 1)
    }
}
