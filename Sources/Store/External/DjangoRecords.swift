package import Foundation

/// Queries of the identity `django` to an existing Django database.
package protocol DjangoRecords: Sendable {
    /// Returns the signed data of a session that has not expired at `now`.
    func djangoSession(key: String, now: Date) async throws -> String?

    /// Returns the user with that primary key, in the form of `_auth_user_id`, active or not.
    func djangoUser(id: String) async throws -> DjangoUser?

    /// Returns the primary key, in the form of `_auth_user_id`, of the user with exactly that login name, active or
    /// not.
    func djangoUserID(named username: String) async throws -> String?
}

/// A row of a Django site's user table.
package struct DjangoUser: Hashable, Sendable {
    /// Login name.
    package let username: String
    /// Name shown to others; empty where the site has none.
    package let alias: String
    /// False for a user whose account is disabled.
    package let isActive: Bool
    /// Encoded password, from which the session authentication hash is computed.
    package let password: String

    /// Prefix of the principal's id; the site's own user id follows.
    package static let principalPrefix = "django:"

    /// Returns the site's own user id of a principal of the identity `django`; nil for any other principal.
    package static func userID(ofPrincipal id: String) -> String? {
        id.hasPrefix(principalPrefix) ? String(id.dropFirst(principalPrefix.count)) : nil
    }

    /// Creates a user from the site's row.
    package init(username: String, alias: String, isActive: Bool, password: String) {
        self.username = username
        self.alias = alias
        self.isActive = isActive
        self.password = password
    }
}
