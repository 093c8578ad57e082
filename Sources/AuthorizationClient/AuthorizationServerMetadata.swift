import JSON

/// Metadata of an authorization server (RFC 8414, section 2, and OpenID Connect Discovery 1.0), as far as a client needs
/// it.
package struct AuthorizationServerMetadata: Hashable, Sendable {
    /// Identifier of the server.
    package let issuer: String
    /// URL of the token endpoint.
    package let tokenEndpoint: String
    /// URL of the authorization endpoint.
    package let authorizationEndpoint: String?
    /// URL of the registration endpoint (RFC 7591).
    package let registrationEndpoint: String?
    /// Scopes that the server knows; nil where the document does not say.
    package let scopes: ScopeSet?
    /// Grant types that the token endpoint accepts; nil where the document does not say.
    package let grantTypes: [String]?
    /// Ways in which clients authenticate themselves at the token endpoint; nil where the document does not say.
    package let authenticationMethods: [String]?
    /// Methods of PKCE; nil where the document does not say.
    package let challengeMethods: [String]?
    /// Algorithms of proofs of possession that the token endpoint accepts (RFC 9449, section 5.1); nil where the document
    /// does not say.
    package let proofAlgorithms: [String]?
    /// True if authorization responses have the parameter `iss` (RFC 9207).
    package let sendsIssuer: Bool
    /// True if a client's identifier may be the URL of its metadata document.
    package let acceptsClientDocuments: Bool

    /// Describes a server that has no metadata, by the default endpoints of the MCP revision 2025-03-26.
    ///
    /// - Parameter url: Any URL of the server; only its origin counts.
    package init(withDefaultEndpointsOf url: ServerURL) {
        issuer = url.base
        tokenEndpoint = url.base + "/token"
        authorizationEndpoint = url.base + "/authorize"
        registrationEndpoint = url.base + "/register"
        scopes = nil
        grantTypes = nil
        authenticationMethods = nil
        challengeMethods = ["S256"]
        proofAlgorithms = nil
        sendsIssuer = false
        acceptsClientDocuments = false
    }

    /// Reads the document of an issuer.
    ///
    /// - Throws: ``AuthorizationError/invalid(_:)`` for the document of another issuer, which must not be used (RFC 8414,
    ///   section 3.3), and for endpoints to which credentials must not be sent.
    init(_ document: JSONObject, of issuer: String) throws(AuthorizationError) {
        guard let named = document["issuer"]?.string, named.utf8.elementsEqual(issuer.utf8) else {
            throw .invalid("the metadata of \(issuer) is another issuer's")
        }
        self.issuer = issuer
        guard let token = try Self.endpoint("token_endpoint", document, issuer) else {
            throw .invalid("the metadata of \(issuer) has no token_endpoint")
        }
        tokenEndpoint = token
        authorizationEndpoint = try Self.endpoint("authorization_endpoint", document, issuer)
        registrationEndpoint = try Self.endpoint("registration_endpoint", document, issuer)
        func strings(_ key: String) -> [String]? { document[key]?.array?.compactMap(\.string) }
        scopes = strings("scopes_supported").map { ScopeSet($0) }
        grantTypes = strings("grant_types_supported")
        authenticationMethods = strings("token_endpoint_auth_methods_supported")
        challengeMethods = strings("code_challenge_methods_supported")
        proofAlgorithms = strings("dpop_signing_alg_values_supported")
        sendsIssuer = document["authorization_response_iss_parameter_supported"] == true
        acceptsClientDocuments = document["client_id_metadata_document_supported"] == true
    }

    private static func endpoint(
        _ key: String, _ document: JSONObject, _ issuer: String
    ) throws(AuthorizationError) -> String? {
        guard let text = document[key]?.string else { return nil }
        guard let url = ServerURL(text), url.isConfidential else {
            throw .invalid("the metadata of \(issuer) has no usable \(key)")
        }
        return text
    }

    /// Returns the URLs of an issuer's metadata in the order of the MCP specification: that of RFC 8414, then those of
    /// OpenID Connect, with the issuer's path behind the name and before it.
    package static func locations(of issuer: ServerURL) -> [String] {
        let urls = [
            issuer.wellKnown("oauth-authorization-server"), issuer.wellKnown("openid-configuration"),
            issuer.appendedWellKnown("openid-configuration"),
        ]
        return urls[1] == urls[2] ? Array(urls[..<2]) : urls
    }
}
