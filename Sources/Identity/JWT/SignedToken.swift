import Foundation
import JSON

/// Error of an invalid token; it is sent to the client, so it repeats nothing of the token.
struct TokenError: Error, Hashable {
    let reason: String
    let kind: CredentialErrorKind

    init(_ reason: String, _ kind: CredentialErrorKind = .invalid) {
        self.reason = reason
        self.kind = kind
    }
}

/// A JSON Web Token in its compact form (RFC 7519, RFC 7515), decoded but not verified.
struct SignedToken {
    let algorithm: String
    let keyID: String?
    let claims: JSONObject
    /// Bytes that are signed.
    let signedBytes: [UInt8]
    let signature: [UInt8]

    /// Values that `typ` may have: an access token, or any JWT (RFC 8725, section 3.11).
    private static let types: Set<String> = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"]

    init(_ text: String) throws(TokenError) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Self.bytes(parts[2])
        else { throw TokenError("The token is not a signed JWT", .malformed) }
        guard let algorithm = header["alg"]?.string else {
            throw TokenError("The token names no algorithm", .malformed)
        }
        if let type = header["typ"] {
            guard let text = type.string, Self.types.contains(text.lowercased()) else {
                throw TokenError("The token is of a type that is not accepted", .malformed)
            }
        }
        // No extension is supported, so each one refuses the token (RFC 7515, section 4.1.11).
        guard header["crit"] == nil else { throw TokenError("The token has critical parameters that are not known") }
        if let keyID = header["kid"], keyID.string == nil {
            throw TokenError("The token is not a signed JWT", .malformed)
        }
        self.algorithm = algorithm
        keyID = header["kid"]?.string
        self.claims = claims
        signedBytes = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        self.signature = signature
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = bytes(part) else { return nil }
        return (try? JSONValue(parsing: bytes))?.object
    }

    /// Decodes URL-safe Base64 without padding.
    private static func bytes(_ part: Substring) -> [UInt8]? {
        let isPlain = part.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
        guard isPlain, part.utf8.count % 4 != 1 else { return nil }
        let padding = String(repeating: "=", count: (4 - part.utf8.count % 4) % 4)
        let standard = part.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: standard + padding).map { Array($0) }
    }
}
