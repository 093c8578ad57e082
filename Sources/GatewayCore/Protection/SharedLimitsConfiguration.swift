package import JSONConfiguration
package import Redis

/// Settings of limits that several gateways share.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `url` | text | required | `redis://HOST[:PORT][/DATABASE]` |
/// | `password` | secret | none | password of the server |
/// | `timeout` | duration | 100 ms | time within which it must reply |
/// | `onFailure` | `local`, `refuse` | `local` | while the server is away: each gateway counts by itself, or requests are 503 |
package struct SharedLimitsConfiguration: Hashable, Sendable {
    /// Conduct while the server is away.
    package enum OnFailure: String, CaseIterable, Sendable {
        case local, refuse
    }

    /// Server that counts.
    package let address: RedisAddress
    /// Password of the server.
    package let password: Secret?
    /// Time within which the server must reply.
    package let timeout: Duration
    /// Conduct while the server is away.
    package let onFailure: OnFailure

    /// Nil where the address is not valid. Errors are recorded in the reader.
    init?(_ reader: ConfigurationReader) {
        let url = reader.requiredString(
            "url",
            "Redis or Valkey server that counts for all gateways: redis://HOST[:PORT][/DATABASE]. Not a cluster.",
            example: "redis://127.0.0.1:6379/0")
        password = reader.secret("password", "Password of the server.")
        timeout = reader.duration(
            "timeout", default: .milliseconds(100), in: .milliseconds(1) ... .seconds(10),
            "Time within which the server must reply; then the connection is closed, and the server counts as away.")
        onFailure = reader.choice(
            "onFailure", default: OnFailure.local,
            "Conduct while the server is away: local (each gateway counts by itself) or "
                + "refuse (requests that a limit would count are answered with 503).")
        guard let address = RedisAddress(url) else {
            if reader.isPresent("url") {
                // A URL may hold a password.
                let shown = url.contains("@") ? "a URL with a user" : "\"\(url.printable)\""
                reader.fail("url", expected: "redis://HOST[:PORT][/DATABASE]", found: shown)
            }
            return nil
        }
        self.address = address
    }
}
