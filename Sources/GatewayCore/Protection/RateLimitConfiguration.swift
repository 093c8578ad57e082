package import HTTPSyntax
import JSONConfiguration

/// Rates of calls. Without the section there are no limits.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `address` | ``RateConfiguration`` | none | rate of each client address (IPv6: each /64) |
/// | `credential` | ``RateConfiguration`` | none | rate of each token, key or set of cookies, else each address |
/// | `login` | ``RateConfiguration`` | 10 in 60 s | rate of each address's POST requests below `/auth/` |
/// | `types` | map of ``RateConfiguration`` | none | rate of each credential's (or address's) calls of a type's tool |
/// | `addressHeader` | `X-Forwarded-For`, `Forwarded`, `none` | `X-Forwarded-For` | header with the client's address |
/// | `entries` | integer | 65536 | callers counted for each limit, 16 bytes each |
/// | `shared` | section | none | ``SharedLimitsConfiguration`` |
///
/// The limits cover `/api/chat/`, `/mcp` and `/auth/`. They count calls: each message of a batch; and a type's limit counts
/// its tool by every way in. They are shared by all workers and kept over a reload that does
/// not change them; each gateway process counts by itself, or all together where `shared` says so. A request that a later limit refuses still counts in the
/// earlier ones (address, login, credential, type).
package struct RateLimitConfiguration: Hashable, Sendable {
    /// Rate of one client address.
    package let address: RateConfiguration?
    /// Rate of one credential.
    package let credential: RateConfiguration?
    /// Rate of login attempts from one address.
    package let login: RateConfiguration?
    /// Rates by type.
    package let types: [String: RateConfiguration]
    /// Header that names the client's address.
    package let addressHeader: ClientAddressField
    /// Largest number of remembered clients.
    package let entries: Int
    /// Server that counts for all gateways; nil: each counts by itself.
    package let shared: SharedLimitsConfiguration?

    init(_ reader: ConfigurationReader) {
        address = reader.optionalSection("address", "Limit of the calls from one client address.") {
            RateConfiguration($0)
        }
        credential = reader.optionalSection(
            "credential",
            "Limit of the calls with one credential (a token, a key, or the cookies), or from one address where there "
                + "is none."
        ) { RateConfiguration($0) }
        login = reader.section("login", "Limit of the POST requests of one client address to /auth/.") {
            RateConfiguration($0, requests: 10, period: .seconds(60))
        }
        let types = reader.map(
            "types",
            "Limits of the calls of a type's tool by one caller, by type; calls through MCP count too.",
            of: "type"
        ) { _, reader in
            RateConfiguration(reader)
        }
        self.types = Dictionary(types.map { ($0.name, $0.value) }) { _, last in last }
        addressHeader = reader.choice(
            "addressHeader", default: ClientAddressField.forwardedFor,
            "Header in which trusted proxies send the client's address. none: the address of the connection counts.")
        entries = reader.integer(
            "entries", default: 65_536, in: 512...16_777_216,
            "Largest number of callers that are counted for each limit, 16 bytes each.")
        shared =
            reader.optionalSection(
                "shared", "Counts in a Redis or Valkey server, so that the limits are those of all gateways together."
            ) { SharedLimitsConfiguration($0) } ?? nil
    }
}

/// `requests` in `per` (default 1 min), of which `burst` (default: all) may come at once; 0 requests: no limit.
package struct RateConfiguration: Hashable, Sendable {
    /// Number of requests in a period.
    package let requests: Int
    /// Period that the requests are counted in.
    package let period: Duration
    /// Number of requests that may come at once.
    package let burst: Int

    init(_ reader: ConfigurationReader, requests: Int = 60, period: Duration = .seconds(60)) {
        self.requests = reader.integer(
            "requests", default: requests, in: 0...1_000_000_000,
            "Number of calls allowed in the time; beyond it the answer is 429. 0: no limit.")
        self.period = reader.duration(
            "per", default: period, in: .milliseconds(1)...(.seconds(86400)),
            "Time in which that number of calls is allowed.")
        burst = reader.integer(
            "burst", default: max(1, self.requests), in: 1...1_000_000_000,
            "Number of calls that may come at once; a batch of more is refused.")
    }

    var policy: RateTable.Policy? {
        requests == 0 ? nil : RateTable.Policy(requests: requests, per: period, burst: burst)
    }
}
