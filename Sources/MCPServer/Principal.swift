package import JSON

/// The user on whose behalf a request runs. `nil` in its place everywhere means an anonymous caller.
package struct Principal: Hashable, Sendable {
    /// Stable identifier of the user: the same for all credentials of one user, so that a refreshed token keeps its
    /// sessions.
    package let id: String
    /// Name to show to people.
    package let name: String
    /// Scopes of the credential, as its issuer spells them.
    package let scopes: Set<String>
    /// True if the credential grants all rights of its user, whatever scopes exist.
    package let hasAllScopes: Bool
    /// Further data from the identity provider, such as `alias`.
    package let attributes: [String: String]
    /// Claims of the token that proved the identity, as its issuer signed them; empty for other credentials.
    package let claims: JSONObject
    /// True if a cookie, which browsers send by themselves, proved the identity.
    package let isCookie: Bool

    /// Creates a principal.
    package init(
        id: String, name: String, scopes: Set<String> = [], hasAllScopes: Bool = false,
        attributes: [String: String] = [:], claims: JSONObject = [:], isCookie: Bool = false
    ) {
        self.id = id
        self.name = name
        self.scopes = scopes
        self.hasAllScopes = hasAllScopes
        self.attributes = attributes
        self.claims = claims
        self.isCookie = isCookie
    }

    /// The same user with the claims of a token.
    package func with(claims: JSONObject) -> Principal {
        Principal(
            id: id, name: name, scopes: scopes, hasAllScopes: hasAllScopes, attributes: attributes, claims: claims,
            isCookie: isCookie)
    }
}
