package import HTTPSyntax
import JSON
package import NIOHTTP1

/// A request to the authorization server.
package struct OAuthRequest: Sendable {
    let method: HTTPMethod
    let path: String
    /// Query as it was sent.
    let query: String
    let headers: HTTPHeaders
    let body: [UInt8]
    let peer: Peer?

    /// - Parameter target: Path and query, not decoded.
    package init(
        method: HTTPMethod, target: String, headers: HTTPHeaders, body: [UInt8] = [], peer: Peer? = nil
    ) {
        self.method = method
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        query = parts.count > 1 ? String(parts[1]) : ""
        self.headers = headers
        self.body = body
        self.peer = peer
    }

    /// Fields of a form in the body; nil where the body is not a form.
    var form: FormFields? {
        let type = headers.first(name: "Content-Type")?.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        return type == "application/x-www-form-urlencoded" ? FormFields(body) : nil
    }
}

/// Response to a request.
package struct OAuthReply: Sendable {
    /// HTTP status.
    package let status: HTTPResponseStatus
    /// Header fields.
    package var headers: HTTPHeaders
    /// Whole body.
    package let body: [UInt8]

    /// Returns an HTML page: not cached, not framed, without scripts, its forms limited to the given target.
    static func page(_ html: String, status: HTTPResponseStatus = .ok, formAction: String? = nil) -> OAuthReply {
        let actions = ["'self'", formAction].compactMap(\.self).joined(separator: " ")
        return OAuthReply(
            status: status,
            headers: [
                "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store",
                "Content-Security-Policy":
                    "default-src 'none'; style-src '\(OAuthPages.styleSource)'; form-action \(actions); "
                    + "base-uri 'none'; frame-ancestors 'none'",
                "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
                // Not no-referrer: browsers would then send the forms with a null origin.
                "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
            ], body: Array(html.utf8))
    }

    /// Returns JSON, not cached unless `cache` says otherwise.
    static func json(
        _ value: JSONValue, status: HTTPResponseStatus = .ok, cache: String = "no-store"
    ) -> OAuthReply {
        json(bytes: value.serialized, status: status, cache: cache)
    }

    /// Returns serialised JSON.
    static func json(bytes: [UInt8], status: HTTPResponseStatus = .ok, cache: String) -> OAuthReply {
        OAuthReply(
            status: status,
            headers: [
                "Content-Type": "application/json", "Cache-Control": cache, "X-Content-Type-Options": "nosniff",
            ], body: bytes)
    }

    /// Returns a redirect that turns a POST into a GET.
    static func redirect(_ location: String) -> OAuthReply {
        OAuthReply(
            status: .seeOther,
            headers: ["Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"], body: [])
    }

    /// Returns an error of the token, revocation and registration endpoints (RFC 6749, section 5.2).
    static func error(_ error: OAuthError, usesBasic: Bool = false) -> OAuthReply {
        let status: HTTPResponseStatus =
            switch error.code {
            case .invalidClient: .unauthorized
            case .slowDown: .tooManyRequests
            case .temporarilyUnavailable, .serverError: .serviceUnavailable
            default: .badRequest
            }
        var reply = json(
            ["error": .string(error.code.rawValue), "error_description": .string(error.description)], status: status)
        if usesBasic, status == .unauthorized { reply.headers.add(name: "WWW-Authenticate", value: "Basic") }
        if let wait = error.retryAfter {
            reply.headers.add(name: "Retry-After", value: String(wait.components.seconds + 1))
        } else if status == .serviceUnavailable {
            reply.headers.add(name: "Retry-After", value: "2")
        }
        return reply
    }

    /// Returns the refusal of a method that the path does not support.
    static func methodNotAllowed(_ allowed: String) -> OAuthReply {
        var reply = json(["error": "Method not allowed"], status: .methodNotAllowed)
        reply.headers.add(name: "Allow", value: allowed)
        return reply
    }

    static let notFound = json(["error": "Not found"], status: .notFound)
}
