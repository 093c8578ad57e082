package import JSONConfiguration

/// Settings of the `oauth` section: an authorization server over the accounts of the identities `builtin` and `django`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `clients.ID.name` | string | the id | name on the consent page |
/// | `clients.ID.redirectURIs` | list | required | compared exactly, except for the port of a loopback address |
/// | `clients.ID.secret`, `…File` | secret | – | secret of a confidential client |
/// | `metadataDocuments` | boolean | true | accepts client ids that are URLs of metadata documents |
/// | `registration` | boolean | false | lets clients register themselves (RFC 7591) |
/// | `maxRegistrations` | integer | 1000 | largest number of registered clients |
/// | `scopes` | map | – | scopes and their texts on the consent page |
/// | `loginURL` | path or URL | `/accounts/login/` | page at which a user of `django` signs in |
/// | `accessLifetime` | duration | 10 m | lifetime of access tokens |
/// | `refreshLifetime` | duration | 30 d | lifetime of refresh tokens, from their last use |
/// | `keyRotation` | duration | 90 d | age at which a signing key is replaced |
package struct OAuthConfiguration: Sendable {
    /// A client that the operator configured.
    package struct Client: Sendable {
        let name: String
        let redirectURIs: [String]
        let secret: Secret?
    }

    let clients: [String: Client]
    let acceptsMetadataDocuments: Bool
    let acceptsRegistration: Bool
    let maximumRegistrations: Int
    /// Descriptions of scopes for people, by scope.
    let scopes: [String: String]
    let loginURL: String
    /// Lifetime of access tokens.
    package let accessLifetime: Duration
    let refreshLifetime: Duration
    /// Age at which a signing key is replaced.
    package let keyRotation: Duration

    /// All secrets, for redaction.
    package var secrets: [String] { clients.values.compactMap { $0.secret?.value } }

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        let clients = reader.map("clients", "Clients that the operator knows, by client id.", of: "client") {
            id, client in
            let name = client.string("name", default: id, "Name of the client, shown on the consent page.")
            let uris = client.strings(
                "redirectURIs", default: [],
                "Redirect URIs of the client, compared to the letter; a loopback address may have any port.")
            for uri in uris where RedirectURI(uri) == nil {
                client.fail(
                    "redirectURIs", expected: "https, http on a loopback address, or an application's own scheme",
                    found: "\"\(uri.printable)\"")
            }
            if uris.isEmpty { client.fail("redirectURIs", expected: "at least one URI", found: "nothing") }
            let secret = client.secret("secret", "Secret of a confidential client; absent: a public client.")
            return Client(name: name, redirectURIs: uris, secret: secret)
        }
        self.clients = Dictionary(clients.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        acceptsMetadataDocuments = reader.bool(
            "metadataDocuments", default: true,
            "true: an https URL is accepted as client id, and the client's metadata document is read from it. Private "
                + "and loopback addresses are never connected to.")
        acceptsRegistration = reader.bool(
            "registration", default: false,
            "true: clients may register themselves (RFC 7591). Registrations of one address are limited by growing delays."
        )
        maximumRegistrations = reader.integer(
            "maxRegistrations", default: 1000, in: 1...1_000_000,
            "Registered clients. At the limit one that has no grant and was not used for an hour makes room; where there "
                + "is none, registrations are refused with 503. After 30 days without use such a client is removed.")
        let words = reader.map("scopes", "Scopes that the consent page explains, by name.", of: "scope") {
            name, scope in
            scope.string("words", default: name, "Words for what the scope allows, such as \"read your records\".")
        }
        scopes = Dictionary(words.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        loginURL = reader.string(
            "loginURL", default: "/accounts/login/",
            "Path or URL of the Django site's login page, which gets the parameter next; for the identity django.")
        if !Self.isPathOrURL(loginURL) {
            reader.fail("loginURL", expected: "a path or an http(s) URL", found: "\"\(loginURL.printable)\"")
        }
        accessLifetime = reader.duration(
            "accessLifetime", default: .seconds(600), in: .seconds(10) ... .seconds(86_400),
            "Lifetime of access tokens. A withdrawn grant still counts for so long.")
        refreshLifetime = reader.duration(
            "refreshLifetime", default: .seconds(30 * 86_400), in: .seconds(60) ... .seconds(365 * 86_400),
            "Lifetime of refresh tokens from their last use; afterwards the user must consent again.")
        keyRotation = reader.duration(
            "keyRotation", default: .seconds(90 * 86_400), in: .seconds(3600) ... .seconds(3650 * 86_400),
            "Age at which a signing key is replaced. The old key stays published until its last token has expired.")
    }

    private static func isPathOrURL(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}#".utf8.contains($0) }) else {
            return false
        }
        if text.hasPrefix("/") { return !text.hasPrefix("//") }
        return text.hasPrefix("https://") || text.hasPrefix("http://")
    }
}
