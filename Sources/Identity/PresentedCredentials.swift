package import HTTPSyntax
package import NIOHTTP1

/// Credentials of a request.
package struct PresentedCredentials: Sendable {
    /// All header fields.
    package let headers: HTTPHeaders
    /// Other end of the connection, which may be a proxy; nil where it is not known.
    package let peer: Peer?

    /// Creates the credentials of a request's head and connection.
    package init(headers: HTTPHeaders, peer: Peer? = nil) {
        self.headers = headers
        self.peer = peer
    }

    /// Creates credentials from a request's `Cookie` headers and `Authorization` header.
    package init(cookieHeaders: [String], authorization: String? = nil) {
        var headers = HTTPHeaders(cookieHeaders.map { ("Cookie", $0) })
        if let authorization { headers.add(name: "Authorization", value: authorization) }
        self.init(headers: headers)
    }

    /// Returns the value of a cookie, as ``CookieField`` reads it.
    package func cookie(_ name: String) -> String? { CookieField.value(of: name, in: headers["Cookie"]) }
}

/// A credential that a client sends on purpose, unlike a cookie.
package enum PresentedToken: Hashable, Sendable {
    /// `Authorization: Bearer …` (RFC 6750, section 2.1).
    case bearer(String)
    /// The header configured for API keys.
    case apiKey(String)
    /// A malformed attempt at either; the text says what is wrong with it.
    case malformed(String)
}

extension PresentedCredentials {
    /// Largest length of a token, in bytes; a longer one is refused without being parsed.
    static let maximumTokenLength = 8192

    /// Returns the token that the request presents; nil without one. `Authorization` with another scheme does not
    /// count.
    ///
    /// - Parameter keyHeader: Name of the header that carries an API key, if one may.
    package func token(keyHeader: String?) -> PresentedToken? {
        let fields = headers["Authorization"]
        let bearers = fields.compactMap(AuthorizationField.init).filter(\.isBearer).map(\.credentials)
        let keys = keyHeader.map { headers[$0] } ?? []
        guard let text = bearers.first ?? keys.first else { return nil }
        guard bearers.count + keys.count == 1, fields.count <= 1 || bearers.isEmpty else {
            return .malformed("More than one credential is presented")
        }
        let token = String(text.trimmingWhiteSpace)
        guard token.utf8.count <= Self.maximumTokenLength else { return .malformed("The token is too long") }
        guard HTTPSyntax.isToken68(token) else { return .malformed("The token is malformed") }
        return bearers.isEmpty ? .apiKey(token) : .bearer(token)
    }
}
