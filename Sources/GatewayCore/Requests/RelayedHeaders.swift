import CurlTransport
import HTTPServer
import HTTPSyntax
import MCPClient
import NIOCore
import NIOHTTP1

/// Headers of requests that are relayed unchanged, in both directions.
enum RelayedHeaders {
    /// Returns the headers for an MCP upstream: MCP's own, those that describe the body and the accepted response,
    /// those that the configuration names, and the caller's credentials.
    static func upstream(_ exchange: GatewayRequest, _ upstream: Upstream) -> CurlHeaders {
        var headers = CurlHeaders()
        let facts = exchange.facts
        for (name, value) in exchange.exchange.head.headers
        where isCarried(name) && !facts.nominated.contains(name.lowercased()) {
            headers.append(name: name, value: value)
        }
        append(exchange.credentials(for: upstream), exchange, upstream, to: &headers)
        return headers
    }

    private static func append(
        _ credentials: ForwardedCredentials, _ exchange: GatewayRequest, _ upstream: Upstream,
        to headers: inout CurlHeaders
    ) {
        for header in credentials.credentials { headers.append(header) }
        if let traceparent = exchange.traceparent(for: upstream) {
            headers.append(name: "traceparent", value: traceparent)
        }
        let isTrusted = upstream.configuration.isTrusted
        if isTrusted { headers.append(name: "X-Request-Id", value: exchange.facts.requestID) }
        // `Content-Type` and the like may be named in the configuration too; they are sent once.
        for header in credentials.perRequest where !headers.contains(name: header.name) { headers.append(header) }
        if isTrusted { appendForwarded(exchange, to: &headers) }
    }

    /// Returns the headers for the old backend: those that describe the body and the accepted response, those that the
    /// configuration names, and the caller's credentials.
    static func chat(
        _ exchange: GatewayRequest, _ upstream: Upstream, _ credentials: ForwardedCredentials
    ) -> CurlHeaders {
        var headers = CurlHeaders()
        let facts = exchange.facts
        for name in ["Accept", "Content-Type", "Content-Encoding"] where !facts.nominated.contains(name.lowercased()) {
            for value in exchange.exchange.head.headers[name] { headers.append(name: name, value: value) }
        }
        append(credentials, exchange, upstream, to: &headers)
        return headers
    }

    private static func isCarried(_ name: String) -> Bool {
        switch name.utf8.count {
        case 6: HTTPSyntax.name(name, is: "accept")
        case 12: HTTPSyntax.name(name, is: "content-type") || HTTPSyntax.hasPrefix(name, "mcp-")
        case 13: HTTPSyntax.name(name, is: "last-event-id") || HTTPSyntax.hasPrefix(name, "mcp-")
        default: HTTPSyntax.hasPrefix(name, "mcp-")
        }
    }

    /// Adds `X-Forwarded-For`, `-Proto` and `-Host`. Their values from a trusted proxy are kept; from any other peer
    /// they are replaced by what the gateway sees itself.
    private static func appendForwarded(_ exchange: GatewayRequest, to headers: inout CurlHeaders) {
        let request = exchange.exchange.head.headers
        let isTrusted = exchange.isFromTrustedProxy
        let earlier = isTrusted ? request["X-Forwarded-For"] : []
        let addresses = earlier + [exchange.exchange.remoteAddress?.ipAddress].compactMap { $0 }
        if !addresses.isEmpty { headers.append(name: "X-Forwarded-For", value: addresses.joined(separator: ", ")) }
        let proto = isTrusted ? request.first(name: "X-Forwarded-Proto") : nil
        headers.append(name: "X-Forwarded-Proto", value: proto ?? "http")
        if let host = (isTrusted ? exchange.facts.site.forwardedHost : nil) ?? exchange.facts.site.host {
            headers.append(name: "X-Forwarded-Host", value: host)
        }
    }

    /// Returns the headers for the client: all of the upstream's except those of its connection.
    ///
    /// - Parameters:
    ///   - url: The URL that was requested: redirects within its origin become redirects to the gateway.
    ///   - isPrivate: True if the response must not be cached, unless the upstream says otherwise.
    ///   - sharesByItself: True if the gateway decides which pages may read the response, not the upstream.
    ///   - path: Returns the gateway's path for a path of the upstream.
    static func downstream(
        _ upstream: CurlHeaders, own: HTTPHeaders, url: String, isPrivate: Bool = false, sharesByItself: Bool = false,
        path: (Substring) -> String = { String($0) }
    ) -> HTTPHeaders {
        var headers = own
        headers.reserveCapacity(own.count + upstream.count + 1)
        let nominated = upstream.all(name: "connection").flatMap { FieldNames.nominated(byConnection: $0) }
        for (name, value) in upstream {
            if FieldNames.isHopByHop(name) || (!nominated.isEmpty && nominated.contains(name.lowercased())) {
                continue
            }
            switch name.utf8.count {
            // Every response already has the gateway's own.
            case 12 where HTTPSyntax.name(name, is: "x-request-id"): continue
            case 8 where HTTPSyntax.name(name, is: "location"):
                let target = Redirect.target(value, from: url)
                headers.add(name: name, value: target.map { path(Redirect.path(of: $0)) } ?? value)
            case 22... where sharesByItself && HTTPSyntax.hasPrefix(name, "access-control-"): continue
            default: headers.add(name: name, value: value)
            }
        }
        if !headers.contains(name: "X-Content-Type-Options") {
            headers.add(name: "X-Content-Type-Options", value: "nosniff")
        }
        if isPrivate, !headers.contains(name: "Cache-Control") {
            headers.add(name: "Cache-Control", value: "no-store")
        }
        let isStream = headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
        if isStream, !headers.contains(name: "X-Accel-Buffering") {
            headers.add(name: "X-Accel-Buffering", value: "no")
        }
        return headers
    }
}
