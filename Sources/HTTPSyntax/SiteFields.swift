/// Fields of a request that name the site for which it is meant and the page that sent it.
package struct SiteFields: Sendable {
    /// The value of `Host`.
    package var host: String?
    /// Value of `X-Forwarded-Host`; of a list the last element, which the nearest proxy wrote.
    package private(set) var forwardedHost: String?
    /// The value of `Origin`.
    package private(set) var origin: String?
    /// True if there are several `Origin` fields, so that none can be trusted.
    package private(set) var hasSeveralOrigins = false
    /// True if the browser reports that a page of another site sent the request (Fetch Metadata, section 2.4),
    /// including another port, scheme or subdomain.
    package private(set) var isFromOtherSite = false
    /// True if the request has `Sec-Fetch-Site`.
    package private(set) var hasFetchSite = false

    /// Creates the fields of a request without any of them.
    package init() {}

    /// Reads the fields of a request.
    package init(_ fields: some Sequence<(name: String, value: String)>) {
        for (name, value) in fields { note(name, value) }
    }

    /// Stores a field if it is one of these; true if it was.
    @discardableResult
    package mutating func note(_ name: String, _ value: String) -> Bool {
        switch name.utf8.count {
        case 4 where HTTPSyntax.name(name, is: "host"):
            host = value
        case 6 where HTTPSyntax.name(name, is: "origin"):
            hasSeveralOrigins = hasSeveralOrigins || origin != nil
            origin = value
        case 14 where HTTPSyntax.name(name, is: "sec-fetch-site"):
            hasFetchSite = true
            isFromOtherSite =
                isFromOtherSite || HTTPSyntax.name(value, is: "cross-site")
                || HTTPSyntax.name(value, is: "same-site")
        case 16 where HTTPSyntax.name(name, is: "x-forwarded-host"):
            forwardedHost = value.listElements.last.map { String($0) }
        default: return false
        }
        return true
    }
}

/// Credentials that a browser, or the proxy in front, adds to the requests of any page: cookies, the schemes of
/// `Authorization` other than Bearer, client certificates, and the field in which a proxy names the user.
package struct AmbientCredentials: Hashable, Sendable {
    /// Fields in lower case in which a proxy names the user.
    private let fields: Set<String>

    /// - Parameter fields: Names of the fields in which a proxy names the user.
    package init(fields: [String] = []) {
        self.fields = Set(fields.map { $0.lowercased() })
    }

    /// Returns whether a request has such a credential.
    package func arePresent(in request: some Sequence<(name: String, value: String)>) -> Bool {
        request.contains { name, value in
            guard !value.isEmpty else { return false }
            let name = name.lowercased()
            switch name {
            case "cookie": return true
            case "authorization": return AuthorizationField(value)?.isBearer == false
            default: return fields.contains(name) || (Self.isCertificate(name) && !HTTPSyntax.equals(value, "none"))
            }
        }
    }

    /// Returns whether a field carries a client certificate: `Client-Cert` (RFC 9440), `X-Forwarded-Client-Cert`,
    /// `X-SSL-Client-Verify`, `SSL-Client-S-DN` and similar ones.
    private static func isCertificate(_ name: String) -> Bool {
        name.contains("client-cert") || name.contains("clientcert") || name.hasPrefix("ssl-client")
            || name.hasPrefix("x-ssl-client") || name == "x-client-verify"
    }
}
