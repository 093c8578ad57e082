/// Grants without a person's decision, by a signed assertion: of a workload's own identity, or of a user who has signed
/// in at the identity provider of an enterprise.
package enum AssertionGrant {
    /// Type of a token that says who has signed in (RFC 8693, section 3).
    private static let identityToken = "urn:ietf:params:oauth:token-type:id_token"
    /// Type of an identity assertion authorization grant.
    package static let identityAssertion = "urn:ietf:params:oauth:token-type:id-jag"
    /// Grant type of an assertion (RFC 7523, section 2.1).
    package static let name = "urn:ietf:params:oauth:grant-type:jwt-bearer"

    /// Returns the parameters of a token request with an assertion (RFC 7523, section 2.1).
    package static func fields(
        assertion: String, scope: ScopeSet, resource: String?
    ) -> [(name: String, value: String)] {
        named(("grant_type", name), ("assertion", assertion), ("scope", scope.parameter), ("resource", resource))
    }

    /// Returns the parameters of the request to an enterprise's identity provider for an assertion that an authorization
    /// server accepts (RFC 8693 and Identity Assertion JWT Authorization Grant, section 4.3).
    ///
    /// - Parameters:
    ///   - identity: Token that says who has signed in at the identity provider.
    ///   - issuer: Authorization server that the assertion is for.
    package static func exchange(
        identity: String, issuer: String, scope: ScopeSet, resource: String?
    ) -> [(name: String, value: String)] {
        named(
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", identityAssertion), ("subject_token", identity),
            ("subject_token_type", identityToken), ("audience", issuer), ("resource", resource),
            ("scope", scope.parameter))
    }

    private static func named(_ fields: (String, String?)...) -> [(name: String, value: String)] {
        fields.compactMap { name, value in value.map { (name: name, value: $0) } }
    }
}
