/// Keeps pages of other origins from using a visitor's cookies.
enum OriginRule {
    /// Whether a request may be served as far as the browser's own headers tell: `Origin` must be allowed or name this
    /// host, and `Sec-Fetch-Site` must not say that the page is another site's, unless its origin is allowed.
    ///
    /// The second one also catches a page of the same host over plain HTTP, and requests without `Origin`. What no
    /// browser sent has neither header and is served.
    ///
    /// - Parameter fetchSite: The `Sec-Fetch-Site` header (Fetch Metadata Request Headers, section 2.4).
    static func allows(_ origin: String?, fetchSite: String?, hosts: [String?], allowed: [String]) -> Bool {
        if let origin, allowed.contains("*") || allowed.contains(origin.lowercased()) { return true }
        if let origin, !allows(origin, hosts: hosts, allowed: []) { return false }
        guard let site = fetchSite?.lowercased() else { return true }
        return site != "cross-site" && site != "same-site"
    }

    /// Whether a request from a page of this origin may be served.
    ///
    /// - Parameters:
    ///   - origin: The `Origin` header, such as `https://app.example:8443` or `null`.
    ///   - hosts: `Host`, and `X-Forwarded-Host` from a trusted proxy.
    ///   - allowed: Origins that are allowed by configuration, lower case.
    static func allows(_ origin: String, hosts: [String?], allowed: [String]) -> Bool {
        let origin = origin.lowercased()
        if allowed.contains(origin) { return true }
        guard let mark = origin.range(of: "://") else { return false }
        let scheme = origin[..<mark.lowerBound]
        let authority = withoutDefaultPort(origin[mark.upperBound...], scheme)
        return hosts.contains { host in
            guard let host else { return false }
            return withoutDefaultPort(host.lowercased()[...], scheme) == authority
        }
    }

    private static func withoutDefaultPort(_ authority: Substring, _ scheme: Substring) -> Substring {
        let port = scheme == "https" ? ":443" : scheme == "http" ? ":80" : ""
        return !port.isEmpty && authority.hasSuffix(port) ? authority.dropLast(port.count) : authority
    }
}

extension String {
    fileprivate func range(of text: String) -> Range<String.Index>? {
        firstRange(of: text)
    }
}
