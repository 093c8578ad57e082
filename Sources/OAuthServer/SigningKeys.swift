import Crypto
package import Foundation
import JSON
import MCPServer
package import Store

/// The keys that sign access tokens: made when they are needed, kept in the store, the same for all replicas.
package actor SigningKeys {
    private let store: any OAuthStore
    private let rotation: TimeInterval
    private let tokenLifetime: TimeInterval
    private let now: @Sendable () -> Date
    private var keys: [OAuthKey] = []
    private var readAt = Date.distantPast

    /// The longest time for which read keys are kept: a key that another replica made is published for so long before it signs.
    private static let readInterval: TimeInterval = 60
    /// The age from which a key signs while an older one is there: every replica, and those that cache the key set, know
    /// it by then.
    private static let publishedAhead: TimeInterval = 600

    /// - Parameters:
    ///   - rotation: age at which a key is replaced.
    ///   - tokenLifetime: how long tokens of a replaced key are still valid.
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
    /// - Throws: the store's error.
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

    /// Returns keys that seal what a page carries from one request to the next; the first one seals.
    func sealingKeys() async throws -> [SymmetricKey] {
        try await current().map { key in
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: key.privateKey), info: Array("oauth-request/1".utf8),
                outputByteCount: 32)
        }
    }

    /// The keys in force, the newest first; never empty.
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
        // Its predecessor signs a while longer, and its last tokens are verified for their lifetime.
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
