import JSONConfiguration

/// What of a request goes upstream: `cookies` (default `sessionid`) and `headers` (default `Authorization`,
/// `Accept-Language` and the trace headers); and `credentials` (default `X-API-Key`), those of the headers that say who
/// the caller is, as `Authorization` always does.
package struct ForwardConfiguration: Hashable, Sendable {
    /// Cookies by name; names of cookies are case-sensitive.
    package let cookies: [String]
    /// Headers by name.
    package let headers: [String]
    /// Those of the headers that callers with different values of are different callers.
    package let credentials: [String]

    static let defaultHeaders = ["Authorization", "Accept-Language", "traceparent", "tracestate", "baggage"]

    init(_ reader: ConfigurationReader) {
        cookies = reader.strings("cookies", default: ["sessionid"], "Names of the cookies that go upstream.")
        headers = reader.strings("headers", default: Self.defaultHeaders, "Names of the headers that go upstream.")
        for name in headers where Self.isRefused(name) {
            reader.fail("headers", expected: "an end-to-end header's name", found: "\"\(name)\"")
        }
        credentials = reader.strings(
            "credentials", default: ["X-API-Key"],
            "Those of the headers that say who the caller is, besides Authorization.")
        let forwarded = Set(headers.map { $0.lowercased() })
        for name in credentials where reader.isPresent("credentials") && !forwarded.contains(name.lowercased()) {
            reader.fail("credentials", expected: "names that are in forward.headers too", found: "\"\(name)\"")
        }
    }

    /// Headers that describe this connection, or that the gateway itself writes.
    private static func isRefused(_ name: String) -> Bool {
        let own: Set<String> = [
            "host", "content-length", "content-type", "cookie", "accept", "mcp-session-id", "mcp-protocol-version",
            "mcp-method", "mcp-name", "expect",
        ]
        let isToken = !name.isEmpty && name.utf8.allSatisfy { HeaderNames.isTokenByte($0) }
        return !isToken || own.contains(name.lowercased()) || HeaderNames.isHopByHop(name)
    }
}

/// Requests that go to an upstream unchanged: `enabled` (default true), `upstream` (default `tools`), `timeout`
/// (default 5 min) and `tools` (default none: every tool), a ``ToolAllowlist``.
package struct PassThroughConfiguration: Hashable, Sendable {
    package let isEnabled: Bool
    package let upstream: String
    /// How long an exchange may stay silent; none for a GET of an event stream.
    package let timeout: Duration
    /// The tools that may be called; nil: all, and no body is looked at.
    package let tools: ToolAllowlist?

    init(_ reader: ConfigurationReader) {
        isEnabled = reader.bool("enabled", default: true, "Whether /mcp and /auth are passed through.")
        upstream = reader.string("upstream", default: "tools", "The upstream that serves them.")
        timeout = reader.duration(
            "timeout", default: .seconds(300), in: .milliseconds(10)...(.seconds(86400)),
            "How long an exchange may stay silent; the GET of an event stream may for ever.")
        tools = reader.optionalSection("tools", "The tools that may be called.") { ToolAllowlist($0) }
    }
}

/// How the process stops: `delay` (default 0), `timeout` (default 30 s) and `idleGrace` (default 500 ms).
package struct DrainConfiguration: Hashable, Sendable {
    /// How long the process still accepts requests after `/readyz` turned 503.
    package let delay: Duration
    /// How long requests in flight may take to finish.
    package let timeout: Duration
    /// How long unused connections stay open once nothing new is accepted: a request that is on its way over one of
    /// them is still answered, with `Connection: close`.
    package let idleGrace: Duration

    init(_ reader: ConfigurationReader) {
        delay = reader.duration(
            "delay", default: .zero, in: .zero...(.seconds(600)),
            "How long requests are still accepted after readiness turned false.")
        timeout = reader.duration(
            "timeout", default: .seconds(30), in: .zero...(.seconds(3600)), "How long requests in flight may take.")
        idleGrace = reader.duration(
            "idleGrace", default: .milliseconds(500), in: .zero...(.seconds(60)),
            "How long unused connections stay open, so that no request meets a closing one.")
    }
}
