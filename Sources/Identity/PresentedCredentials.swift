package import NIOCore
package import NIOHTTP1

/// Credentials of a request.
package struct PresentedCredentials: Sendable {
    /// Cookies by name; names are case-sensitive, of duplicates the last counts.
    package let cookies: [String: String]
    /// All header fields.
    package let headers: HTTPHeaders
    /// The other end of the connection, which may be a proxy; nil where that is not known.
    package let peer: SocketAddress?

    /// Collects the credentials of a request's head and connection.
    package init(headers: HTTPHeaders, peer: SocketAddress? = nil) {
        self.headers = headers
        self.peer = peer
        var cookies: [String: String] = [:]
        for header in headers["Cookie"] {
            for pair in header.split(separator: ";") {
                guard let equals = pair.firstIndex(of: "=") else { continue }
                let name = pair[..<equals].trimmed
                var value = pair[pair.index(after: equals)...].trimmed
                if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
                cookies[String(name)] = String(value)
            }
        }
        self.cookies = cookies
    }

    /// Credentials from a request's `Cookie` headers and `Authorization` header.
    package init(cookieHeaders: [String], authorization: String? = nil) {
        var headers = HTTPHeaders(cookieHeaders.map { ("Cookie", $0) })
        if let authorization { headers.add(name: "Authorization", value: authorization) }
        self.init(headers: headers)
    }
}

/// A credential that whoever holds it presents on purpose, unlike a cookie.
package enum PresentedToken: Hashable, Sendable {
    /// `Authorization: Bearer …` (RFC 6750, section 2.1).
    case bearer(String)
    /// The header that is configured for API keys.
    case apiKey(String)
    /// An attempt at one of these; with what is wrong with it.
    case malformed(String)
}

extension PresentedCredentials {
    /// A longer token is refused unread, in bytes.
    static let maximumTokenLength = 8192

    /// The token that the request presents; nil for none. `Authorization` with another scheme is none.
    ///
    /// - Parameter keyHeader: the header that holds an API key, if one may.
    package func token(keyHeader: String?) -> PresentedToken? {
        let authorizations = headers["Authorization"].filter(Self.isBearer)
        let keys = keyHeader.map { headers[$0] } ?? []
        guard let text = authorizations.first ?? keys.first else { return nil }
        guard authorizations.count + keys.count == 1, headers["Authorization"].count <= 1 || authorizations.isEmpty
        else { return .malformed("More than one credential is presented") }
        let token = authorizations.isEmpty ? text[...].trimmed : text.dropFirst("Bearer".count).trimmed
        guard token.utf8.count <= Self.maximumTokenLength else { return .malformed("The token is too long") }
        guard !token.isEmpty, token.utf8.allSatisfy(Self.isTokenByte) else {
            return .malformed("The token is malformed")
        }
        return authorizations.isEmpty ? .apiKey(String(token)) : .bearer(String(token))
    }

    private static func isBearer(_ value: String) -> Bool {
        let scheme = value.prefix { $0 != " " && $0 != "\t" }
        return scheme.lowercased() == "bearer"
    }

    /// `b64token` of RFC 6750.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~+/=".utf8.contains(byte)
        }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        guard let first = firstIndex(where: { $0 != " " && $0 != "\t" }),
            let last = lastIndex(where: { $0 != " " && $0 != "\t" })
        else { return "" }
        return self[first...last]
    }
}
