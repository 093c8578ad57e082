import NIOHTTP1

/// Tells posts of foreign pages from our own: a browser adds cookies to both.
struct CrossOriginGuard: Sendable {
    /// `scheme://host[:port]`, lower case.
    let allowedOrigins: Set<String>

    init(allowedOrigins: [String]) {
        self.allowedOrigins = Set(allowedOrigins.map { $0.lowercased() })
    }

    /// Whether the headers say that a page of another, not allowed origin sent the request.
    ///
    /// `X-Forwarded-Host` counts like `Host`: a proxy that rewrites `Host` sets it, and a foreign page cannot without
    /// a preflight request, which nobody here answers.
    func isForeign(_ headers: HTTPHeaders) -> Bool {
        if let origin = headers.first(name: "Origin") {
            let origin = origin.lowercased()
            if allowedOrigins.contains(origin) { return false }
            guard let mark = origin.firstRange(of: "://") else { return true }
            let scheme = origin[..<mark.lowerBound]
            let authority = Self.normal(origin[mark.upperBound...], scheme: scheme)
            let hosts = headers["Host"] + headers["X-Forwarded-Host"]
            return !hosts.contains { Self.normal($0.lowercased()[...], scheme: scheme) == authority }
        }
        // Browsers that withhold Origin still say this.
        return headers.first(name: "Sec-Fetch-Site")?.lowercased() == "cross-site"
    }

    /// Without the port that the scheme implies.
    private static func normal(_ authority: Substring, scheme: Substring) -> Substring {
        let implied = scheme == "https" ? ":443" : ":80"
        return authority.hasSuffix(implied) ? authority.dropLast(implied.count) : authority
    }
}
