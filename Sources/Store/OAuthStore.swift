package import Foundation

/// A key pair that signs access tokens.
package struct OAuthKey: Hashable, Sendable {
    /// `kid` of the tokens that it signs.
    package let id: String
    /// The private key of curve P-256, 32 bytes.
    package let privateKey: [UInt8]
    /// When it was made, to the millisecond.
    package let createdAt: Date

    /// A key; see the properties.
    package init(id: String, privateKey: [UInt8], createdAt: Date) {
        self.id = id
        self.privateKey = privateKey
        self.createdAt = createdAt
    }
}

/// A permission that a user gave to a client.
package struct OAuthGrant: Hashable, Sendable {
    /// Random, unique.
    package let id: String
    /// `Principal.id` of the user.
    package let userID: String
    /// `client_id`.
    package let clientID: String
    /// The client's name as the user saw it.
    package let clientName: String
    /// Granted scopes, in the order in which the user saw them.
    package let scopes: [String]
    /// When the user allowed it, to the millisecond.
    package let createdAt: Date
    /// When tokens were last issued for it.
    package let usedAt: Date
    /// From then on nothing renews it.
    package let expiresAt: Date

    /// A grant; see the properties.
    package init(
        id: String, userID: String, clientID: String, clientName: String, scopes: [String], createdAt: Date,
        usedAt: Date, expiresAt: Date
    ) {
        self.id = id
        self.userID = userID
        self.clientID = clientID
        self.clientName = clientName
        self.scopes = scopes
        self.createdAt = createdAt
        self.usedAt = usedAt
        self.expiresAt = expiresAt
    }
}

/// An authorization code as stored: never its text.
package struct OAuthCode: Hashable, Sendable {
    /// SHA-256 of the code.
    package let digest: [UInt8]
    /// The grant that it gives access to.
    package let grantID: String
    /// The redirect URI of the request, to the letter.
    package let redirectURI: String
    /// The PKCE challenge, of method S256.
    package let challenge: String
    /// From this instant on it is worth nothing.
    package let expiresAt: Date

    /// A code; see the properties.
    package init(digest: [UInt8], grantID: String, redirectURI: String, challenge: String, expiresAt: Date) {
        self.digest = digest
        self.grantID = grantID
        self.redirectURI = redirectURI
        self.challenge = challenge
        self.expiresAt = expiresAt
    }
}

/// The outcome of presenting a code or a refresh token.
package enum OAuthRedemption<Credential: Sendable>: Sendable {
    /// It was unused, and is used from now on.
    case redeemed(Credential, OAuthGrant)
    /// It was used before: its grant has been ended.
    case reused(grantID: String)
    /// It does not exist, or not any more.
    case unknown
}

/// Everything that the authorization server keeps: keys, registered clients, grants, codes and refresh tokens.
///
/// Codes and tokens are known by the SHA-256 digest of their text alone. All times are to the millisecond.
package protocol OAuthStore: Sendable {
    /// Returns the signing keys, the newest first.
    func oauthKeys() async throws -> [OAuthKey]

    /// Adds a signing key and removes those made before `limit`.
    func insertOAuthKey(_ key: OAuthKey, removingBefore limit: Date) async throws

    /// Stores a registered client's metadata, unless there are `limit` of them.
    /// - Returns: false where there is no room.
    func insertOAuthClient(id: String, metadata: String, at: Date, limit: Int) async throws -> Bool

    /// Returns a registered client's metadata, and notes the use.
    func oauthClient(id: String, at: Date) async throws -> String?

    /// Stores a grant with the code that the client gets.
    func insertOAuthGrant(_ grant: OAuthGrant, code: OAuthCode) async throws

    /// Uses a code, if it is unused and not expired; a used one ends its grant.
    func redeemOAuthCode(digest: [UInt8], now: Date) async throws -> OAuthRedemption<OAuthCode>

    /// Stores a grant's first refresh token.
    /// - Returns: false where the grant has ended meanwhile.
    func insertOAuthToken(digest: [UInt8], grantID: String, expiresAt: Date) async throws -> Bool

    /// Puts a refresh token in the place of another, if that one is unused and not expired; a used one ends its grant.
    /// - Parameter isAllowed: decides before anything changes.
    func rotateOAuthToken(
        digest: [UInt8], to successor: [UInt8], now: Date, expiresAt: Date,
        isAllowed: @escaping @Sendable (OAuthGrant) -> Bool
    ) async throws -> OAuthRedemption<Bool>

    /// Returns the grant of a refresh token, used or not.
    func oauthGrant(tokenDigest: [UInt8]) async throws -> OAuthGrant?

    /// Returns a grant by its id.
    func oauthGrant(id: String) async throws -> OAuthGrant?

    /// Returns grants, the newest first: those of one user, or all.
    func oauthGrants(userID: String?) async throws -> [OAuthGrant]

    /// Ends a grant with its codes and tokens.
    /// - Parameter userID: the grant must be this user's; nil: anybody's.
    func deleteOAuthGrant(id: String, userID: String?) async throws -> Bool

    /// Ends all grants of a user; returns how many.
    @discardableResult
    func deleteOAuthGrants(userID: String) async throws -> Int

    /// Removes what has expired: codes, tokens, grants, and registered clients without a grant that were not used since
    /// `unusedSince`.
    func deleteExpiredOAuth(now: Date, unusedSince: Date) async throws
}
