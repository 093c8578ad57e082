package import JSONConfiguration

/// Settings of the `jwt` section: access tokens of an OAuth 2.0 authorization server (RFC 9068 and its predecessors).
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `issuer` | string | required | value that `iss` must equal exactly |
/// | `audience` | list | required | values of which `aud` must hold one |
/// | `jwksURL` or `jwksFile` | string | required | the issuer's keys; https unless the host is this machine |
/// | `caFile` | path | the system's | PEM file of the authorities that `jwksURL` is checked against |
/// | `algorithms` | list | `["RS256", "ES256"]` | RS, PS and ES with 256, 384, 512; EdDSA; nothing else |
/// | `leeway` | duration | 30 s | accepted difference to the issuer's clock |
/// | `requiredClaims` | list | empty | claims required besides `iss`, `aud`, `exp` and that of `user` |
/// | `scope` | string | `scope`, else `scp` | the claim with the scopes: a text with spaces, or a list |
/// | `user` | string | `sub` | the claim that names the user |
/// | `users` | `token`, `directory` | `token` | kind of the user: the issuer's own, or one of the server's directory |
/// | `name`, `alias` | string | – | claims of the names shown, with `users` `token` |
/// | `refresh` | duration | 30 s | least time between two readings of the keys |
/// | `maxAge` | duration | 10 m | age after which the keys are read again in any case |
/// | `authorizationServers` | list | `[issuer]` | authorization servers that the resource's metadata names |
package struct JWTConfiguration: Sendable {
    /// Users that a token names.
    package enum Users: String, CaseIterable, Sendable {
        /// The issuer's users, who have no account here.
        case token
        /// Users of the providers `builtin` and `django`, by name.
        case directory
        /// The same users by their `Principal.id`: in tokens of this server's own.
        case identifier

        /// The values that can be configured.
        package static let allCases: [Users] = [.token, .directory]
    }

    /// Source of the issuer's keys.
    package enum Keys: Hashable, Sendable {
        case file(String)
        case url(String)
    }

    /// Algorithms that may be configured: no symmetric ones, whose key would have to be stored here, and never `none`.
    static let knownAlgorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ]

    let issuer: String
    let audience: Set<String>
    /// Source of the verification keys.
    package let keys: Keys
    let caFile: String?
    /// Accepted signature algorithms.
    package let algorithms: Set<String>
    let leeway: Duration
    let requiredClaims: [String]
    let scopeClaim: String?
    let userClaim: String
    let users: Users
    let nameClaim: String?
    let aliasClaim: String?
    /// Time after which the keys are read again.
    package let refresh: Duration
    /// Time that keys are used without being read again.
    package let maximumAge: Duration
    /// Authorization servers that the resource's metadata names.
    package let authorizationServers: [String]

    /// Creates the configuration for tokens of this server's own authorization server.
    package init(ownIssuer issuer: String, audience: String) {
        self.issuer = issuer
        self.audience = [audience]
        keys = .file("")
        caFile = nil
        algorithms = ["ES256"]
        leeway = .seconds(30)
        requiredClaims = ["client_id", "iat", "jti"]
        scopeClaim = "scope"
        userClaim = "sub"
        users = .identifier
        nameClaim = nil
        aliasClaim = nil
        refresh = .seconds(1)
        maximumAge = .seconds(60)
        authorizationServers = [issuer]
    }

    /// Reads the section.
    package init(_ reader: ConfigurationReader, isUsed: Bool) {
        issuer = reader.string("issuer", default: "", "Required value of the claim iss.")
        audience = Set(reader.strings("audience", default: [], "Audiences, one of which the claim aud has to contain."))
        let url = reader.optionalString(
            "jwksURL", "URL of the issuer's JSON Web Key Set; https unless the host is this machine.",
            example: "https://id.example/keys")
        let file = reader.optionalString(
            "jwksFile", "Path of a file with the issuer's JSON Web Key Set.", example: "/etc/chat-gateway/jwks.json")
        keys = url.map(Keys.url) ?? .file(file ?? "")
        caFile = reader.optionalString(
            "caFile", "Path of a PEM file with the certificate authorities trusted for jwksURL.",
            example: "/etc/ssl/certs/company.pem")
        let names = reader.strings("algorithms", default: ["RS256", "ES256"], "Accepted signature algorithms.")
        algorithms = Set(names)
        leeway = reader.duration(
            "leeway", default: .seconds(30), in: .zero ... .seconds(300),
            "Tolerated difference between the issuer's clock and this one.")
        requiredClaims = reader.strings(
            "requiredClaims", default: [], "Names of further claims that a token must have.")
        scopeClaim = reader.optionalString(
            "scope", "Claim with the scopes, a space-separated text or a list; absent: scope, else scp.",
            example: "scope")
        userClaim = reader.string("user", default: "sub", "Claim that names the user.")
        users = reader.choice(
            "users", default: Users.token,
            "Users that the name stands for: token (users of the issuer) or directory (users of builtin and django).")
        nameClaim = reader.optionalString(
            "name", "Claim with the user's name for people; absent: the claim of user.", example: "preferred_username")
        aliasClaim = reader.optionalString("alias", "Claim with the name shown to others.", example: "nickname")
        refresh = reader.duration(
            "refresh", default: .seconds(30), in: .seconds(1) ... .seconds(3600),
            "Shortest time between two readings of the keys.")
        maximumAge = reader.duration(
            "maxAge", default: .seconds(600), in: .seconds(1) ... .seconds(86_400),
            "Time after which the keys are read again in any case.")
        let servers = reader.strings(
            "authorizationServers", default: [],
            "Authorization servers named in the resource's metadata; default: the issuer.")
        authorizationServers = servers.isEmpty ? [issuer] : servers
        guard isUsed else { return }
        if issuer.isEmpty { reader.fail("issuer", expected: "the issuer of the tokens", found: "nothing") }
        if audience.isEmpty {
            reader.fail("audience", expected: "the audiences of the tokens, such as publicURL", found: "nothing")
        }
        if (url == nil) == (file == nil) {
            reader.fail("jwksURL", expected: "either jwksURL or jwksFile", found: url == nil ? "neither" : "both")
        }
        if let url, !Self.isAcceptable(url) {
            reader.fail("jwksURL", expected: "an https URL, or http on this machine", found: "\"\(url.prefix(200))\"")
        }
        if names.isEmpty || !algorithms.isSubset(of: Self.knownAlgorithms) {
            reader.fail(
                "algorithms", expected: "a list of " + Self.knownAlgorithms.joined(separator: ", "),
                found: names.joined(separator: ", "))
        }
    }

    /// Returns whether a URL is https, or http on this machine, so that its content cannot be changed in transit.
    package static func isAcceptable(_ url: String) -> Bool {
        guard url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !url.contains("@"), !url.contains("#") else {
            return false
        }
        let lower = url.lowercased()
        if lower.hasPrefix("https://") { return lower.count > "https://".count }
        guard lower.hasPrefix("http://") else { return false }
        let authority = lower.dropFirst("http://".count).prefix { $0 != "/" && $0 != "?" }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return ["localhost", "127.0.0.1", "[::1]"].contains(host)
    }
}
