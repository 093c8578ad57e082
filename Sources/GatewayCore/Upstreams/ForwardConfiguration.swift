import HTTPSyntax
import JSONConfiguration

/// Parts of a request that go upstream: `cookies` (default `sessionid`) and `headers` (default `Authorization`,
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
        return !HTTPSyntax.isToken(name) || own.contains(name.lowercased()) || FieldNames.isHopByHop(name)
    }
}
