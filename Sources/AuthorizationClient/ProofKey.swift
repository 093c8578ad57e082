import Crypto
package import CurlTransport
package import Foundation
import HTTPSyntax
import JSON
import MCP
import Synchronization

/// Key whose possession a client proves with every request (DPoP, RFC 9449): a token that is bound to it is useless
/// without it. It never leaves the process that made it.
package final class ProofKey: Sendable {
    /// Name of the header of a proof.
    static let field = "DPoP"
    /// Name of the header of a server's nonce.
    package static let nonceField = "DPoP-Nonce"
    /// Error code of a server that wants its nonce in the proof.
    static let nonceError = "use_dpop_nonce"
    /// Algorithm of the proofs' signatures.
    package static let algorithm = "ES256"

    private let key = P256.Signing.PrivateKey()
    /// Last nonces, by the origins of their servers.
    private let nonces = Mutex<[WebOrigin: String]>([:])

    /// Largest number of servers whose nonces are kept.
    private static let serverLimit = 16
    /// Longest nonce, in bytes.
    private static let nonceLimit = 1024

    /// Makes a key.
    package init() {}

    /// Returns a proof for one request (RFC 9449, section 4.2).
    ///
    /// - Parameter token: Token that the request carries; nil for a request for a token.
    /// - Throws: The error of the cryptographic library, or ``AuthorizationError/invalid(_:)`` without a URL.
    package func proof(method: String, url: String, token: String?, now: Date) throws -> String {
        guard let target = ServerURL(url) else { throw AuthorizationError.invalid("not a URL") }
        var claims: JSONObject = [
            "jti": .string(UUID().uuidString), "htm": .string(method),
            "htu": .string(String(url.prefix { $0 != "?" })),
            "iat": .number(JSONNumber(Int(now.timeIntervalSince1970))),
        ]
        if let token { claims["ath"] = .string(Base64URL.encode(SHA256.hash(data: Array(token.utf8)))) }
        claims["nonce"] = nonces.withLock { $0[target.origin] }.map { .string($0) }
        let point = key.publicKey.rawRepresentation
        let header: JSONObject = [
            "typ": "dpop+jwt", "alg": .string(Self.algorithm),
            "jwk": [
                "kty": "EC", "crv": "P-256", "x": .string(Base64URL.encode(point.prefix(32))),
                "y": .string(Base64URL.encode(point.suffix(32))),
            ],
        ]
        return try SignedToken.make(header: header, claims: claims, key: .p256(key))
    }

    /// Adds a proof to a request that carries a bound token. A request without one is left as it is.
    package func sign(_ request: inout CurlRequest, now: Date) {
        let scheme = "DPoP "
        guard let authorization = request.headers.first(name: "Authorization"), authorization.hasPrefix(scheme),
            let proof = try? proof(
                method: request.method, url: request.url, token: String(authorization.dropFirst(scheme.count)), now: now
            )
        else { return }
        request.headers.set(name: Self.field, value: proof)
        // Each proof is good for one request.
        request.mayResend = false
    }

    /// Keeps the nonce that a server provides; an invalid one is ignored.
    package func note(nonce: String?, from url: String) {
        guard let nonce, (1...Self.nonceLimit).contains(nonce.utf8.count), let target = ServerURL(url),
            nonce.utf8.allSatisfy({ $0 == 0x21 || (0x23...0x5B).contains($0) || (0x5D...0x7E).contains($0) })
        else { return }
        nonces.withLock { nonces in
            if nonces.count >= Self.serverLimit, nonces[target.origin] == nil { nonces.removeAll() }
            nonces[target.origin] = nonce
        }
    }
}
