import Foundation
import JSON
import Store

/// A client of the authorization server, of any origin.
struct OAuthClient: Hashable, Sendable {
    /// Origin of the server's knowledge of a client.
    enum Origin: Hashable, Sendable {
        /// Configured by the operator.
        case configured
        /// Described by its metadata document, on that host.
        case document(host: String)
        /// Registered by itself: nothing that it says about itself is verified.
        case registered
    }

    let id: String
    /// Name shown to people; printable.
    let name: String
    let redirectURIs: [RedirectURI]
    let origin: Origin
    /// SHA-256 of the secret of a confidential client.
    let secretDigest: [UInt8]?

    private static let maximumRedirectURIs = 20
    private static let maximumNameLength = 80

    init(id: String, name: String, redirectURIs: [RedirectURI], origin: Origin, secretDigest: [UInt8]? = nil) {
        self.id = id
        self.name = String(name.printable.prefix(Self.maximumNameLength))
        self.redirectURIs = redirectURIs
        self.origin = origin
        self.secretDigest = secretDigest
    }

    /// Creates a public client from its metadata (RFC 7591, section 2).
    /// - Throws: ``OAuthError`` naming the invalid member.
    init(id: String, metadata: JSONObject, origin: Origin) throws(OAuthError) {
        guard let texts = metadata["redirect_uris"]?.array, (1...Self.maximumRedirectURIs).contains(texts.count) else {
            throw OAuthError(
                .invalidRedirectURI, "redirect_uris: expected 1 to \(Self.maximumRedirectURIs) URIs")
        }
        let uris = texts.compactMap { $0.string.flatMap(RedirectURI.init) }
        guard uris.count == texts.count else {
            throw OAuthError(
                .invalidRedirectURI,
                "redirect_uris: expected https, http on a loopback address, or an application's own scheme, "
                    + "without fragment and user")
        }
        if let grants = metadata["grant_types"]?.array, !grants.contains("authorization_code") {
            throw OAuthError(.invalidClientMetadata, "grant_types: expected authorization_code among them")
        }
        if let responses = metadata["response_types"]?.array, !responses.contains("code") {
            throw OAuthError(.invalidClientMetadata, "response_types: expected code among them")
        }
        let name = metadata["client_name"]?.string ?? ""
        self.init(id: id, name: name.isEmpty ? id : name, redirectURIs: uris, origin: origin)
    }

    /// Returns the registered URI for the response to a request; without one in the request, the only registered one.
    func redirectURI(_ requested: String?) -> RedirectURI? {
        guard let requested else { return redirectURIs.count == 1 ? redirectURIs[0] : nil }
        guard let uri = RedirectURI(requested), redirectURIs.contains(where: { $0.matches(uri) }) else { return nil }
        return uri
    }
}

/// An OAuth error response, for the client.
struct OAuthError: Error, Hashable, Sendable {
    /// Error codes of RFC 6749, 7591, 8707 and OpenID Connect.
    enum Code: String, Sendable {
        case invalidRequest = "invalid_request"
        case invalidClient = "invalid_client"
        case invalidGrant = "invalid_grant"
        case unauthorizedClient = "unauthorized_client"
        case unsupportedGrantType = "unsupported_grant_type"
        case unsupportedResponseType = "unsupported_response_type"
        case invalidScope = "invalid_scope"
        case invalidTarget = "invalid_target"
        case accessDenied = "access_denied"
        case loginRequired = "login_required"
        case consentRequired = "consent_required"
        case temporarilyUnavailable = "temporarily_unavailable"
        case serverError = "server_error"
        case invalidRedirectURI = "invalid_redirect_uri"
        case invalidClientMetadata = "invalid_client_metadata"
        case slowDown = "slow_down"
    }

    let code: Code
    /// Description for developers, in ASCII.
    let description: String
    /// Time until the next attempt, for ``Code/slowDown``.
    let retryAfter: Duration?

    init(_ code: Code, _ description: String, retryAfter: Duration? = nil) {
        self.code = code
        self.description = description
        self.retryAfter = retryAfter
    }
}
