import HTTPServer
import HTTPSyntax
import NIOHTTP1

/// Server's part of cross-origin resource sharing (Fetch, section 3.2).
struct CORSPolicy: Sendable {
    private let configuration: CORSConfiguration
    private let sharesWithAll: Bool
    private let maxAge: String

    /// Response headers that a page may read beside those that it always may.
    private static let exposed = "X-Request-Id, Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After"
    /// Request headers that both dialects of MCP and the chat types need; any `Mcp-…` is allowed too.
    private static let requestHeaders: Set<String> = [
        "accept", "accept-language", "authorization", "content-type", "last-event-id", "traceparent", "tracestate",
        "baggage", "x-request-id",
    ]

    init(_ configuration: CORSConfiguration) {
        self.configuration = configuration
        sharesWithAll = configuration.origins.contains("*")
        maxAge = "\(configuration.maxAge.nanoseconds / 1_000_000_000)"
    }

    func allows(_ origin: String) -> Bool {
        sharesWithAll || configuration.origins.contains(origin.lowercased())
    }

    /// Adds the headers of a response. `Vary` is added without an allowed origin too, since the response for another
    /// origin may be cached.
    func add(to headers: inout HTTPHeaders, origin: String?) {
        if !sharesWithAll { headers.add(name: "Vary", value: "Origin") }
        guard let origin, allows(origin) else { return }
        headers.add(name: "Access-Control-Allow-Origin", value: sharesWithAll ? "*" : origin)
        if configuration.credentials { headers.add(name: "Access-Control-Allow-Credentials", value: "true") }
        headers.add(name: "Access-Control-Expose-Headers", value: Self.exposed)
    }

    /// Adds the further headers of the response to a preflight request.
    func addPreflight(to headers: inout HTTPHeaders, methods: String, requested: [String]) {
        headers.add(name: "Access-Control-Allow-Methods", value: methods)
        let names = requested.flatMap(\.listElements).map { $0.lowercased() }
            .filter { allows(header: $0) }
        if !names.isEmpty {
            headers.add(name: "Access-Control-Allow-Headers", value: names.joined(separator: ", "))
        }
        headers.add(name: "Access-Control-Max-Age", value: maxAge)
        headers.add(name: "Vary", value: "Access-Control-Request-Method, Access-Control-Request-Headers")
    }

    private func allows(header name: String) -> Bool {
        guard name.utf8.count <= 128, HTTPSyntax.isToken(name) else {
            return false
        }
        return Self.requestHeaders.contains(name) || name.hasPrefix("mcp-") || configuration.headers.contains(name)
    }
}

extension GatewayRequest {
    /// Answers a preflight request of an origin that may read answers; false for every other request.
    func answersPreflight(_ methods: String) -> Bool {
        let request = exchange.head.headers
        guard exchange.head.method == .OPTIONS, let cors = settings.cors, let origin = facts.site.origin,
            cors.allows(origin), request.contains(name: "Access-Control-Request-Method")
        else { return false }
        var headers = headers(capacity: 12)
        cors.addPreflight(to: &headers, methods: methods, requested: request["Access-Control-Request-Headers"])
        exchange.respond(status: .noContent, headers: headers, body: nil)
        return true
    }
}
