import HTTPSyntax

/// The part of a 401 or 403 that tells a client which token is needed: the challenge of the scheme Bearer (RFC 6750
/// section 3, RFC 9728 section 5.1) or DPoP (RFC 9449 section 7.1).
package struct BearerRefusal: Hashable, Sendable {
    /// URL of the protected resource's metadata.
    package let metadataURL: String?
    /// Scopes that the request needs.
    package let scope: ScopeSet
    /// True if the token was valid, but without a scope that the request needs.
    package let isInsufficientScope: Bool
    /// True if only a token that is bound to a key is accepted: the scheme is DPoP, and none of the challenges Bearer.
    package let needsProof: Bool
    /// True if the proof lacks the nonce that the response provides (RFC 9449, section 9).
    package let needsNonce: Bool

    /// Reads the values of `WWW-Authenticate`; nil where none is a challenge of the scheme Bearer or DPoP.
    package init?(_ fields: [String]) {
        let all = AuthenticationChallenge.read(fields)
        let bearer = all.filter { $0.scheme == "bearer" }
        let challenges = bearer.isEmpty ? all.filter { $0.scheme == "dpop" } : bearer
        // A server may have one challenge for each of its token formats; the first that says something counts.
        guard let challenge = challenges.first(where: { !$0.parameters.isEmpty }) ?? challenges.first else {
            return nil
        }
        metadataURL = challenge.parameters["resource_metadata"]
        scope = ScopeSet(challenge.parameters["scope"] ?? "")
        isInsufficientScope = challenge.parameters["error"] == "insufficient_scope"
        needsProof = bearer.isEmpty
        needsNonce = all.contains { $0.scheme == "dpop" && $0.parameters["error"] == ProofKey.nonceError }
    }
}
