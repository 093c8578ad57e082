/// Keeps pages of other origins from using a visitor's cookies.
enum OriginRule {
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
