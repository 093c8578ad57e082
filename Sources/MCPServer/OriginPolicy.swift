/// Which `Origin` and `Host` headers an endpoint accepts: the defence against DNS rebinding, where a hostile page makes
/// a browser talk to a local server under the page's own name.
package struct OriginPolicy: Sendable {
    /// Origins allowed besides those of this machine, such as `https://chat.example.com`; `*` allows all.
    package var allowedOrigins: Set<String>
    /// `Host` values accepted, with port, or with `:*` for any port; `nil` accepts all.
    package var allowedHosts: Set<String>?
    /// Replaces the check of a present `Origin` (arguments: origin, host).
    package var decide: (@Sendable (String, String?) -> Bool)?

    /// Accepts the given origins and hosts.
    package init(
        allowedOrigins: Set<String> = [], allowedHosts: Set<String>? = nil,
        decide: (@Sendable (String, String?) -> Bool)? = nil
    ) {
        self.allowedOrigins = allowedOrigins
        self.allowedHosts = allowedHosts
        self.decide = decide
    }

    /// Status and text of a refusal: 421 for the host, 403 for the origin.
    func refusal(_ headers: MCPHTTPHeaders) -> (status: Int, message: String)? {
        let hosts = headers.all("Host")
        if let allowedHosts {
            guard hosts.count == 1, Self.host(hosts[0].lowercased(), isIn: allowedHosts) else {
                return (421, "Invalid Host header")
            }
        }
        let origins = headers.all("Origin")
        guard let origin = origins.first else { return nil }
        guard origins.count == 1, accepts(origin, host: hosts.first) else { return (403, "Origin not allowed") }
        return nil
    }

    private func accepts(_ origin: String, host: String?) -> Bool {
        if let decide { return decide(origin, host) }
        if allowedOrigins.contains("*") || allowedOrigins.contains(origin) { return true }
        let origin = origin.lowercased()
        if allowedOrigins.contains(origin) { return true }
        guard let separator = origin.firstRange(of: "://") else { return false }
        let authority = String(origin[separator.upperBound...])
        if Self.loopback.contains(Self.withoutPort(authority)) { return true }
        // The same origin is no proof by itself: under rebinding both headers carry the attacker's name. It counts when
        // the host is one that the operator listed.
        guard let allowedHosts, let host = host?.lowercased() else { return false }
        return authority == host && Self.host(host, isIn: allowedHosts)
    }

    private static let loopback: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

    private static func host(_ host: String, isIn allowed: Set<String>) -> Bool {
        allowed.contains(host) || allowed.contains(withoutPort(host) + ":*")
    }

    private static func withoutPort(_ authority: String) -> String {
        guard let colon = authority.lastIndex(of: ":"),
            authority[authority.index(after: colon)...].allSatisfy({ $0.isASCII && $0.isNumber })
        else { return authority }
        return String(authority[..<colon])
    }
}
