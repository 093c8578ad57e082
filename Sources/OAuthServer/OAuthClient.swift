import Foundation
import JSON
import Store

/// A client of the authorization server, however it became known.
struct OAuthClient: Hashable, Sendable {
    /// The way in which the client became known.
    enum Origin: Hashable, Sendable {
        /// By the operator.
        case configured
        /// By its metadata document, on that host.
        case document(host: String)
        /// By itself: nothing that it says of itself is verified.
        case registered
    }

    let id: String
    /// Shown to people; made printable.
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

    /// A public client by its metadata (RFC 7591, section 2).
    /// - Throws: ``OAuthError`` naming what does not fit.
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

    /// Returns the registered URI that a request may be answered to; without one in the request, the only registered.
    func redirectURI(_ requested: String?) -> RedirectURI? {
        guard let requested else { return redirectURIs.count == 1 ? redirectURIs[0] : nil }
        guard let uri = RedirectURI(requested), redirectURIs.contains(where: { $0.matches(uri) }) else { return nil }
        return uri
    }
}

/// An error of the protocol, for the client.
struct OAuthError: Error, Hashable, Sendable {
    /// The `error` of RFC 6749, 7591, 8707 and OpenID Connect.
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
    /// ASCII, for developers.
    let description: String
    /// For ``Code/slowDown``.
    let retryAfter: Duration?

    init(_ code: Code, _ description: String, retryAfter: Duration? = nil) {
        self.code = code
        self.description = description
        self.retryAfter = retryAfter
    }
}
