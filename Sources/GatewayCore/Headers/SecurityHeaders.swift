import NIOHTTP1

/// Security headers of responses. The page has its own; `Strict-Transport-Security` is left to the proxy that
/// terminates TLS.
enum SecurityHeaders {
    /// Adds the headers of data: no caching, no guessing of the content type.
    static func addBasic(to headers: inout HTTPHeaders) { headers.add(contentsOf: basic) }

    private static let basic = HTTPHeaders([("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")])

    /// Headers of every JSON response.
    static let json: HTTPHeaders = {
        var headers = HTTPHeaders([("Content-Type", "application/json")])
        addBasic(to: &headers)
        return headers
    }()

    /// Adds the headers of errors, which may repeat what the client sent: in addition to the basic ones, no scripts, no
    /// framing, no referrer.
    static func addStrict(to headers: inout HTTPHeaders) {
        addBasic(to: &headers)
        headers.add(name: "Content-Security-Policy", value: "default-src 'none'; frame-ancestors 'none'")
        headers.add(name: "Referrer-Policy", value: "no-referrer")
    }
}
