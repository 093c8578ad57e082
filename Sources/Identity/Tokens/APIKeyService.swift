package import Foundation
import JSON
import JSONConfiguration
package import Store

/// Creation, listing and revocation of API keys.
package struct APIKeyService: Sendable {
    let keys: any APIKeyStore
    let directory: UserDirectory
    let now: @Sendable () -> Date

    /// Creates a service over a store; `directory` knows the users for whom keys may act.
    package init(
        keys: any APIKeyStore, directory: UserDirectory, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.keys = keys
        self.directory = directory
        self.now = now
    }

    /// Creates a key. Only the result contains its text.
    /// - Parameters:
    ///   - user: Name of the user for whom the key acts; nil: it acts for itself.
    ///   - lifetime: Time after which the key is invalid; nil: it does not expire.
    /// - Throws: ``APIKeyError``; ``StoreError`` of kind `duplicate` when the name is in use.
    package func create(
        name: String, scopes: [String] = [], user: String? = nil, lifetime: Duration? = nil
    ) async throws -> (key: APIKey, text: APIKeyText) {
        guard (1...150).contains(name.count), !name.contains(where: \.isWhitespace), !name.hasControlCharacters else {
            throw APIKeyError("key name: expected 1 to 150 characters without white space")
        }
        for scope in scopes where !ScopeName.isValid(scope) {
            throw APIKeyError(
                "scope: expected 1 to 100 visible ASCII characters except \" and \\, found \"\(scope.printable)\"")
        }
        if let lifetime, lifetime <= .zero { throw APIKeyError("expires: expected a time in the future") }
        var userID: String?
        if let user {
            guard let record = try await directory.user(named: user), record.isActive else {
                throw APIKeyError("no active user named \"\(user.printable)\"")
            }
            userID = record.id
        }
        let text = APIKeyText()
        let now = Date(milliseconds: now().milliseconds)
        let key = APIKey(
            digest: text.digest, name: name, hint: text.hint, scopes: scopes, userID: userID, createdAt: now,
            expiresAt: lifetime.map { now.addingTimeInterval($0 / .seconds(1)) })
        try await keys.insertAPIKey(key)
        return (key, text)
    }

    /// Returns all keys in order of creation, revoked and expired ones included.
    /// - Throws: ``StoreError``.
    package func list() async throws -> [APIKey] { try await keys.apiKeys() }

    /// Revokes a key at once; false when no key of that name is left to revoke.
    /// - Throws: ``StoreError``.
    package func revoke(name: String) async throws -> Bool {
        try await keys.revokeAPIKey(named: name, at: now())
    }
}

/// Error of a new key that breaks a rule; the description names it.
package struct APIKeyError: Error, CustomStringConvertible {
    /// Description on one line.
    package let description: String

    /// Creates the error of a rule.
    package init(_ description: String) {
        self.description = description
    }
}

extension APIKey {
    /// State of a key, for people.
    package enum State: String, Sendable {
        case active, revoked, expired
    }

    /// Returns the state at an instant.
    package func state(at now: Date) -> State {
        if revokedAt != nil { return .revoked }
        return expiresAt.map { $0 <= now } == true ? .expired : .active
    }
}
