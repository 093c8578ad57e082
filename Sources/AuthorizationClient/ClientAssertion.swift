package import Crypto
package import CryptoExtras
package import Foundation
import JSON

/// Signed assertion with which a client authenticates itself (RFC 7523, `private_key_jwt`).
package enum ClientAssertion {
    /// A private key that can sign.
    package enum Key {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)

        /// Creates a key from PEM text; nil when it is not a private key of a supported kind.
        package init?(pem: String) {
            if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
                self = .p256(key)
            } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) {
                self = .p384(key)
            } else if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) {
                self = .rsa(key)
            } else {
                return nil
            }
        }

        /// Name of the signature algorithm (RFC 7518, section 3.1).
        package var algorithm: String {
            switch self {
            case .p256: "ES256"
            case .p384: "ES384"
            case .rsa: "RS256"
            }
        }

        func signature(for bytes: [UInt8]) throws -> [UInt8] {
            switch self {
            case .p256(let key): Array(try key.signature(for: bytes).rawRepresentation)
            case .p384(let key): Array(try key.signature(for: bytes).rawRepresentation)
            case .rsa(let key):
                Array(try key.signature(for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation)
            }
        }
    }

    /// Validity of an assertion, in seconds.
    private static let lifetime = 60

    /// Returns an assertion for one request.
    ///
    /// - Parameter audience: The issuer, or the token endpoint where the issuer is not known.
    /// - Throws: The error of the cryptographic library.
    package static func make(clientID: String, audience: String, key: Key, keyID: String?, now: Date) throws -> String {
        var header: JSONObject = ["alg": .string(key.algorithm), "typ": "JWT"]
        if let keyID { header["kid"] = .string(keyID) }
        let time = Int(now.timeIntervalSince1970)
        let claims: JSONObject = [
            "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience),
            "jti": .string(UUID().uuidString), "iat": .number(JSONNumber(time)),
            "exp": .number(JSONNumber(time + lifetime)),
        ]
        return try SignedToken.make(header: header, claims: claims, key: key)
    }
}
