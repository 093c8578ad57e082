import HTTPSyntax
package import JSONConfiguration

/// Settings of the `trustedHeader` section: a reverse proxy that authenticates users itself and names them in a header.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `header` | string | `X-Auth-User` | header of the user's name |
/// | `aliasHeader` | string | – | header of the name shown to other users |
/// | `scopesHeader` | string | – | header of the scopes, separated by spaces; without the key, users have all |
/// | `secretHeader` | string | `X-Auth-Secret` | header of the secret |
/// | `secret`, `secretFile` | secret | required | secret by which the proxy proves itself; 16 characters or more |
/// | `peers` | list | required | addresses of the proxy: `10.0.0.0/8`, `::1`, `unix` |
/// | `users` | `header`, `directory` | `header` | kind of the user: the proxy's own, or one of the server's directory |
///
/// The proxy must overwrite these headers on every request, so that clients cannot send their own.
package struct TrustedHeaderConfiguration: Sendable {
    /// Users that the header names.
    package enum Users: String, CaseIterable, Sendable {
        /// The proxy's users, who have no account here.
        case header
        /// Users of the providers `builtin` and `django`.
        case directory
    }

    /// Name of the header that names the user.
    package let header: String
    let aliasHeader: String?
    let scopesHeader: String?
    let secretHeader: String
    /// Secret that proves that the proxy wrote the headers.
    package let secret: Secret?
    let peers: [PeerRange]
    let users: Users

    /// Reads the section.
    package init(_ reader: ConfigurationReader, isUsed: Bool) {
        header = reader.string("header", default: "X-Auth-User", "Header with the user's name.")
        aliasHeader = reader.optionalString(
            "aliasHeader", "Header with the name shown to others.", example: "X-Remote-Alias")
        scopesHeader = reader.optionalString(
            "scopesHeader", "Header with the user's scopes, separated by spaces; absent: users have all scopes.",
            example: "X-Remote-Scopes")
        secretHeader = reader.string("secretHeader", default: "X-Auth-Secret", "Header with the secret.")
        secret = reader.secret("secret", "Secret that proves that the proxy wrote the headers.")
        let texts = reader.strings(
            "peers", default: [], "Addresses of the proxy: networks, addresses, or unix for Unix sockets.")
        peers = texts.compactMap(PeerRange.init)
        users = reader.choice(
            "users", default: Users.header,
            "Users that the name stands for: header (users of the proxy) or directory (users of builtin and django).")
        for (key, name) in [
            ("header", header), ("aliasHeader", aliasHeader), ("scopesHeader", scopesHeader),
            ("secretHeader", secretHeader),
        ] where name.map({ HTTPSyntax.isToken($0) }) == false {
            reader.fail(key, expected: "a header's name", found: "\"\(name ?? "")\"")
        }
        for text in texts where PeerRange(text) == nil {
            reader.fail("peers", expected: "a network such as 10.0.0.0/8, an address, or unix", found: "\"\(text)\"")
        }
        guard isUsed else { return }
        if texts.isEmpty { reader.fail("peers", expected: "addresses of the proxy", found: "nothing") }
        if (secret?.value.utf8.count ?? 0) < 16 {
            reader.fail(
                "secret", expected: "16 characters or more", found: secret == nil ? "nothing" : "a shorter secret")
        }
    }
}
