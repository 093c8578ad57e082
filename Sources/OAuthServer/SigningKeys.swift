import Crypto
package import Foundation
import JSON
import MCP
package import Store

/// Keys that sign access tokens: created when they are needed, kept in the store, the same for all replicas.
package actor SigningKeys {
    private let store: any OAuthStore
    private let rotation: TimeInterval
    private let tokenLifetime: TimeInterval
    private let now: @Sendable () -> Date
    private var keys: [OAuthKey] = []
    private var readAt = Date.distantPast

    /// Longest time in seconds for which keys are cached: a key of another replica is published for this time before it
    /// signs.
    private static let readInterval: TimeInterval = 60
    /// Age in seconds from which a key signs while an older one exists: by then every replica, and every cache of the
    /// key set, knows it.
    private static let publishedAhead: TimeInterval = 600

    /// - Parameters:
    ///   - rotation: Age at which a key is replaced.
    ///   - tokenLifetime: Time for which tokens of a replaced key stay valid.
    package init(
        store: any OAuthStore, rotation: Duration, tokenLifetime: Duration,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.store = store
        self.rotation = rotation / .seconds(1)
        self.tokenLifetime = tokenLifetime / .seconds(1)
        self.now = now
    }

    /// Returns the public keys as a JSON Web Key Set (RFC 7517).
    /// - Throws: The store's error.
    package func keySet() async throws -> [UInt8] {
        let keys: [JSONValue] = try await current().compactMap { key in
            guard let point = Self.privateKey(key)?.publicKey.rawRepresentation else { return nil }
            return [
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": .string(key.id),
                "x": .string(Base64URL.encode(point.prefix(32))), "y": .string(Base64URL.encode(point.suffix(32))),
            ]
        }
        return JSONValue.object(["keys": .array(keys)]).serialized
    }

    /// Signs claims as an access token (RFC 9068).
    func token(_ claims: JSONObject) async throws -> String {
        let keys = try await current()
        let aged = keys.first { now().timeIntervalSince($0.createdAt) >= Self.publishedAhead }
        guard let key = aged ?? keys.last, let privateKey = Self.privateKey(key) else {
            throw StoreError(.corrupt, "the signing key cannot be used")
        }
        let header: JSONValue = ["alg": "ES256", "typ": "at+jwt", "kid": .string(key.id)]
        let signed =
            Base64URL.encode(header.serialized) + "." + Base64URL.encode(JSONValue.object(claims).serialized)
        let signature = try privateKey.signature(for: Array(signed.utf8))
        return signed + "." + Base64URL.encode(signature.rawRepresentation)
    }

    /// Returns the keys that seal the values in forms; the first one seals, all open.
    func sealingKeys() async throws -> [SymmetricKey] {
        try await current().map { key in
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: key.privateKey), info: Array("oauth-request/1".utf8),
                outputByteCount: 32)
        }
    }

    /// Returns the keys in force, the newest first; never empty.
    private func current() async throws -> [OAuthKey] {
        let now = now()
        if now.timeIntervalSince(readAt) >= Self.readInterval || keys.isEmpty {
            keys = try await store.oauthKeys()
            readAt = now
        }
        if let newest = keys.first, now.timeIntervalSince(newest.createdAt) < rotation { return keys }
        let privateKey = P256.Signing.PrivateKey()
        let made = OAuthKey(
            id: Base64URL.encode(SHA256.hash(data: privateKey.publicKey.rawRepresentation).prefix(12)),
            privateKey: Array(privateKey.rawRepresentation), createdAt: Date(milliseconds: now.milliseconds))
        // The previous key signs a while longer, and its last tokens are verified for their lifetime.
        let overlap = rotation + Self.publishedAhead + tokenLifetime + 2 * Self.readInterval
        try await store.insertOAuthKey(made, removingBefore: now.addingTimeInterval(-2 * overlap))
        keys = try await store.oauthKeys()
        readAt = now
        return keys
    }

    private static func privateKey(_ key: OAuthKey) -> P256.Signing.PrivateKey? {
        try? P256.Signing.PrivateKey(rawRepresentation: key.privateKey)
    }
}
