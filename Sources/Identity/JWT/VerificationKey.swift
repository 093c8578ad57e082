import Foundation
import JSON
import JWTKit

/// A public key that verifies tokens, with the algorithms for which it may be used.
struct VerificationKey: Sendable {
    /// Identifier, as in `kid`.
    let id: String?
    /// Algorithms by the name in a token's header. Only these are tried: the token cannot choose how it is verified.
    let algorithms: [String: any JWTAlgorithm]

    /// Returns whether the signature was made with this key over the token's bytes.
    func verifies(_ token: SignedToken) -> Bool {
        guard let algorithm = algorithms[token.algorithm] else { return false }
        return (try? algorithm.verify(token.signature, signs: token.signedBytes)) ?? false
    }
}

/// Error of a key set that cannot be used.
struct KeySetError: Error, CustomStringConvertible {
    let description: String
}

extension VerificationKey {
    /// Largest number of keys of a set that are read.
    static let maximumKeys = 100
    /// Accepted lengths of an RSA modulus, in bytes: a shorter key can be broken, and a longer one costs more than any
    /// issuer needs.
    private static let modulusLengths = 256...1024

    /// Returns the keys of a JSON Web Key Set (RFC 7517) that can verify one of the algorithms. Others are left out:
    /// keys of other kinds, for encryption, too weak, or malformed.
    /// - Throws: ``KeySetError`` when the text is not a key set, or has no usable key.
    package static func keys(inSet bytes: [UInt8], algorithms: Set<String>) async throws -> [VerificationKey] {
        guard let entries = (try? JSONValue(parsing: bytes))?["keys"]?.array else {
            throw KeySetError(description: "not a JSON Web Key Set")
        }
        var keys: [VerificationKey] = []
        for entry in entries.prefix(maximumKeys) {
            guard let object = entry.object, isForVerifying(object) else { continue }
            var usable: [String: any JWTAlgorithm] = [:]
            for name in possible(object) where algorithms.contains(name) {
                usable[name] = try? await algorithm(name, object)
            }
            if !usable.isEmpty { keys.append(VerificationKey(id: object["kid"]?.string, algorithms: usable)) }
        }
        guard !keys.isEmpty else { throw KeySetError(description: "no key for any accepted algorithm") }
        return keys
    }

    private static func isForVerifying(_ key: JSONObject) -> Bool {
        if let use = key["use"], use.string != "sig" { return false }
        if let operations = key["key_ops"]?.array, !operations.contains("verify") { return false }
        return true
    }

    /// Returns the algorithms that a key's kind, curve and own `alg` allow.
    private static func possible(_ key: JSONObject) -> [String] {
        let kind: [String] =
            switch (key["kty"]?.string, key["crv"]?.string) {
            case ("RSA", _): ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
            case ("EC", "P-256"): ["ES256"]
            case ("EC", "P-384"): ["ES384"]
            case ("EC", "P-521"): ["ES512"]
            case ("OKP", "Ed25519"): ["EdDSA"]
            default: []
            }
        guard let own = key["alg"] else { return kind }
        return kind.filter { $0 == own.string }
    }

    private static func algorithm(_ name: String, _ key: JSONObject) async throws -> any JWTAlgorithm {
        // Only the public members: private ones, which a set should not contain, are not read.
        var members: JSONObject = ["kid": "key", "alg": .string(name)]
        for member in ["kty", "n", "e", "crv", "x", "y"] { members[member] = key[member] }
        if let modulus = key["n"]?.string {
            let significant = modulus.drop { $0 == "A" }.utf8.count * 6 / 8
            guard modulusLengths.contains(significant) else {
                throw KeySetError(description: "an RSA key of an unusual length")
            }
        }
        let jwk = try JSONDecoder().decode(JWK.self, from: Data(JSONValue.object(members).serialized))
        let collection = JWTKeyCollection()
        try await collection.add(jwk: jwk)
        return try await collection.getKey(for: JWKIdentifier(string: "key"), alg: name)
    }
}
