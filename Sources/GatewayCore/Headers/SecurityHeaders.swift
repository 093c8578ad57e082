import NIOHTTP1

/// The response headers that browsers obey for a site's safety. The page has its own; TLS (and with it
/// `Strict-Transport-Security`) is the proxy's.
enum SecurityHeaders {
    /// For data: it is what it says it is, and personal.
    static func addBasic(to headers: inout HTTPHeaders) { headers.add(contentsOf: basic) }

    private static let basic = HTTPHeaders([("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")])

    /// Of every answer in JSON.
    static let json: HTTPHeaders = {
        var headers = HTTPHeaders([("Content-Type", "application/json")])
        addBasic(to: &headers)
        return headers
    }()

    /// For errors, which may repeat what the client sent: also no document, no frame, no referrer.
    static func addStrict(to headers: inout HTTPHeaders) {
        addBasic(to: &headers)
        headers.add(name: "Content-Security-Policy", value: "default-src 'none'; frame-ancestors 'none'")
        headers.add(name: "Referrer-Policy", value: "no-referrer")
    }
}
