import AuthorizationClient
package import JSONConfiguration

/// A token of the gateway's own for one upstream: `clientCredentials` or `exchange`, each a section.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `issuer` | URL | – | authorization server; its metadata names the token endpoint (RFC 8414) |
/// | `tokenURL` | URL | – | token endpoint, instead of an issuer |
/// | `clientID` | string | – | client id of the gateway at the authorization server |
/// | `secret` | secret | – | sent as HTTP Basic or in the form |
/// | `authentication` | `auto`, `basic`, `post` | `auto` | the way in which the secret is sent |
/// | `privateKey` | secret | – | a PEM key that signs an assertion (private_key_jwt) instead of a secret |
/// | `keyID` | string | – | the `kid` of the assertion |
/// | `scope` | string | – | scopes of the token; not set: those that the upstream asks for |
/// | `resource`, `audience` | string | – | parameters of the token request; `audience` for `exchange` only |
///
/// With neither `issuer` nor `tokenURL` the upstream is asked for its authorization server (RFC 9728); an upstream that is
/// not trusted does not choose in this way who gets its callers' tokens, so that `exchange` needs one of them there.
package struct TokenConfiguration: Hashable, Sendable {
    /// The grant that gives the token.
    package enum Grant: Hashable, Sendable {
        /// Token with the gateway's own rights (RFC 6749, section 4.4).
        case clientCredentials
        /// Token with the caller's rights: the caller's bearer token is exchanged (RFC 8693).
        case exchange
    }

    /// Way in which a client secret is sent: as the authorization server's metadata says, by HTTP Basic, or in the form.
    package enum Authentication: String, CaseIterable, Sendable { case auto, basic, post }

    /// Grant that gives the token.
    package let grant: Grant
    /// Issuer whose metadata names the token endpoint (RFC 8414).
    package let issuer: String?
    /// URL of the token endpoint.
    package let tokenURL: String?
    /// Identifier of the gateway at the authorization server.
    package let clientID: String
    /// Way in which the client secret is sent.
    package let authentication: Authentication
    /// Client secret; nil where an assertion takes its place.
    package let secret: SecretSource?
    /// PEM key that signs the client's assertion (RFC 7523).
    package let privateKey: SecretSource?
    /// `kid` of the assertion.
    package let keyID: String?
    /// Scopes that the token is asked for; nil: those that the upstream asks for.
    package let scope: String?
    /// Resource that the token is asked for (RFC 8707).
    package let resource: String?
    /// Audience that an exchanged token is asked for (RFC 8693).
    package let audience: String?

    init(_ grant: Grant, _ reader: ConfigurationReader) {
        self.grant = grant
        issuer = reader.optionalString(
            "issuer",
            "URL of the authorization server, whose metadata names the token endpoint. With neither issuer nor tokenURL the "
                + "upstream is asked for its authorization server; the first that gives a token is kept, and another one "
                + "that the upstream names later is refused until the gateway is restarted.",
            example: "https://id.example")
        tokenURL = reader.optionalString(
            "tokenURL", "URL of the token endpoint, instead of an issuer.", example: "https://id.example/token")
        clientID = reader.requiredString(
            "clientID", "The gateway's client identifier at the authorization server.", example: "gateway")
        authentication = reader.choice(
            "authentication", default: Authentication.auto,
            "How the secret is sent. auto: as the authorization server's metadata says, by HTTP Basic where it says "
                + "nothing; basic: HTTP Basic; post: in the request's form.")
        secret = reader.secretSource("secret", "The client's secret.")
        privateKey = reader.secretSource(
            "privateKey", "PEM private key (P-256, P-384 or RSA) that signs a client assertion, instead of a secret.")
        keyID = reader.optionalString("keyID", "Identifier of the private key, sent as kid.", example: "2026-01")
        scope = reader.optionalString(
            "scope",
            "Scopes that are asked for, separated by spaces. Not set: those of the upstream's challenge, else those of "
                + "its metadata; a call that needs a further one is repeated with a token for it. Set: a call that needs "
                + "a further one fails.", example: "orders:read")
        resource = reader.optionalString(
            "resource", "Resource that the token is for (RFC 8707).", example: "https://crm.example/mcp")
        audience =
            grant == .exchange
            ? reader.optionalString(
                "audience", "Audience that the token is for (RFC 8693).", example: "https://crm.example") : nil
        for (key, url) in [("issuer", issuer), ("tokenURL", tokenURL)] {
            if let url, !Self.isAcceptable(url) {
                reader.fail(key, expected: "an https URL, or an http URL of this machine", found: "\"\(url)\"")
            }
        }
        if issuer != nil, tokenURL != nil {
            reader.fail("tokenURL", expected: "either an issuer or a tokenURL", found: "both")
        }
        if secret != nil, privateKey != nil {
            reader.fail("privateKey", expected: "either a secret or a privateKey", found: "both")
        }
        if let privateKey, ClientAssertion.Key(pem: privateKey.value.value) == nil {
            reader.fail("privateKey", expected: "a PEM private key of P-256, P-384 or RSA", found: "something else")
        }
    }

    /// Returns whether credentials may be sent to a URL: only over TLS, or to a loopback address.
    static func isAcceptable(_ url: String) -> Bool {
        ServerURL(url)?.isConfidential ?? false
    }

    /// Reads the section `token`, which has one of two sections.
    static func read(_ reader: ConfigurationReader) -> TokenConfiguration? {
        let own = reader.optionalSection(
            "clientCredentials", "Token with the gateway's own rights (client credentials grant, RFC 6749)."
        ) {
            TokenConfiguration(.clientCredentials, $0)
        }
        let exchanged = reader.optionalSection(
            "exchange", "Token with the caller's rights, in exchange for the caller's bearer token (RFC 8693)."
        ) {
            TokenConfiguration(.exchange, $0)
        }
        if own != nil, exchanged != nil {
            reader.fail("exchange", expected: "either clientCredentials or exchange", found: "both")
        }
        if own == nil, exchanged == nil {
            reader.fail(nil, expected: "clientCredentials or exchange", found: "neither")
        }
        return own ?? exchanged
    }
}
