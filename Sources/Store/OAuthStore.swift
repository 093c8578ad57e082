package import Foundation

/// A key pair that signs access tokens.
package struct OAuthKey: Hashable, Sendable {
    /// `kid` of the tokens signed with it.
    package let id: String
    /// Private key on the curve P-256, 32 bytes.
    package let privateKey: [UInt8]
    /// Time of creation, to the millisecond.
    package let createdAt: Date

    /// Creates a key.
    package init(id: String, privateKey: [UInt8], createdAt: Date) {
        self.id = id
        self.privateKey = privateKey
        self.createdAt = createdAt
    }
}

/// Permission that a user gave to a client.
package struct OAuthGrant: Hashable, Sendable {
    /// Random, unique identifier.
    package let id: String
    /// Identifier of the user, as in `Principal.id`.
    package let userID: String
    /// Identifier of the client, as in `client_id`.
    package let clientID: String
    /// Name of the client as the user saw it.
    package let clientName: String
    /// Granted scopes, in the order in which the user saw them.
    package let scopes: [String]
    /// Time of the user's consent, to the millisecond.
    package let createdAt: Date
    /// Time at which tokens were last issued for it.
    package let usedAt: Date
    /// Time from which the grant cannot be renewed.
    package let expiresAt: Date

    /// Creates a grant.
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

/// An authorization code as stored, without its text.
package struct OAuthCode: Hashable, Sendable {
    /// SHA-256 of the code.
    package let digest: [UInt8]
    /// Identifier of the grant that the code belongs to.
    package let grantID: String
    /// Redirect URI of the request, byte for byte.
    package let redirectURI: String
    /// PKCE challenge, of method S256.
    package let challenge: String
    /// Time from which the code is invalid.
    package let expiresAt: Date

    /// Creates a code.
    package init(digest: [UInt8], grantID: String, redirectURI: String, challenge: String, expiresAt: Date) {
        self.digest = digest
        self.grantID = grantID
        self.redirectURI = redirectURI
        self.challenge = challenge
        self.expiresAt = expiresAt
    }
}

/// Result of presenting a code or a refresh token.
package enum OAuthRedemption<Credential: Sendable>: Sendable {
    /// The credential was unused; it is now marked as used.
    case redeemed(Credential, OAuthGrant)
    /// The credential was used before: its grant has been ended.
    case reused(grantID: String)
    /// The credential does not exist, or no longer.
    case unknown
}

/// Store of the authorization server: keys, registered clients, grants, codes and refresh tokens.
///
/// Codes and tokens are stored only as the SHA-256 digest of their text. All times are to the millisecond.
package protocol OAuthStore: Sendable {
    /// Returns the signing keys, the newest first.
    func oauthKeys() async throws -> [OAuthKey]

    /// Adds a signing key and removes those made before `limit`.
    func insertOAuthKey(_ key: OAuthKey, removingBefore limit: Date) async throws

    /// Stores a registered client's metadata. Where there are `limit` of them, one without a grant that was not used for an
    /// hour makes room.
    /// - Returns: False when the limit is reached.
    func insertOAuthClient(id: String, metadata: String, at: Date, limit: Int) async throws -> Bool

    /// Returns a registered client's metadata, and records the use.
    func oauthClient(id: String, at: Date) async throws -> String?

    /// Stores a grant with the code for the client.
    func insertOAuthGrant(_ grant: OAuthGrant, code: OAuthCode) async throws

    /// Redeems a code that is unused and not expired; presenting a used one ends its grant.
    func redeemOAuthCode(digest: [UInt8], now: Date) async throws -> OAuthRedemption<OAuthCode>

    /// Stores a grant's first refresh token.
    /// - Returns: False when the grant has ended meanwhile.
    func insertOAuthToken(digest: [UInt8], grantID: String, expiresAt: Date) async throws -> Bool

    /// Replaces a refresh token that is unused and not expired by another; presenting a used one ends its grant.
    /// - Parameter isAllowed: Decides before anything changes.
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
    /// - Parameter userID: Only a grant of this user is ended; nil: of any user.
    func deleteOAuthGrant(id: String, userID: String?) async throws -> Bool

    /// Ends all grants of a user; returns their number.
    @discardableResult
    func deleteOAuthGrants(userID: String) async throws -> Int

    /// Removes expired codes, tokens and grants, and registered clients without a grant that were not used since
    /// `unusedSince`.
    func deleteExpiredOAuth(now: Date, unusedSince: Date) async throws
}
