import HTTPSyntax
import JSONConfiguration

/// Parts of a request that are forwarded: `cookies` (default `sessionid`) and `headers` (default `Authorization`,
/// `Accept-Language` and the trace headers); and `credentials` (default `X-API-Key`), those of the headers that
/// identify the caller, as `Authorization` always does.
package struct ForwardConfiguration: Hashable, Sendable {
    /// Names of cookies, which are case-sensitive.
    package let cookies: [String]
    /// Names of headers.
    package let headers: [String]
    /// Names of those of the headers that identify the caller: different values are different callers.
    package let credentials: [String]

    static let defaultHeaders = ["Authorization", "Accept-Language", "traceparent", "tracestate", "baggage"]

    /// - Parameter isOwn: True if the section belongs to an upstream: then an omitted list is empty.
    init(_ reader: ConfigurationReader, isOwn: Bool = false) {
        cookies = reader.strings(
            "cookies", default: isOwn ? [] : ["sessionid"], "Names of the cookies that are forwarded.")
        headers = reader.strings(
            "headers", default: isOwn ? [] : Self.defaultHeaders, "Names of the headers that are forwarded.")
        for name in headers where Self.isRefused(name) {
            reader.fail("headers", expected: "an end-to-end header's name", found: "\"\(name)\"")
        }
        credentials = reader.strings(
            "credentials", default: isOwn ? [] : ["X-API-Key"],
            "Names of those forwarded headers that identify the caller, besides Authorization.")
        let forwarded = Set(headers.map { $0.lowercased() })
        for name in credentials where reader.isPresent("credentials") && !forwarded.contains(name.lowercased()) {
            reader.fail("credentials", expected: "names that are in forward.headers too", found: "\"\(name)\"")
        }
    }

    private init(cookies: [String], headers: [String], credentials: [String]) {
        self.cookies = cookies
        self.headers = headers
        self.credentials = credentials
    }

    /// Rules for an upstream that is not trusted.
    static let untrusted = ForwardConfiguration(
        cookies: [], headers: ["Accept-Language", "traceparent", "tracestate", "baggage"], credentials: [])

    /// Returns the rules without some headers.
    ///
    /// - Parameter names: Lower case; `cookie` stands for all cookies.
    func removing(_ names: Set<String>) -> ForwardConfiguration {
        ForwardConfiguration(
            cookies: names.contains("cookie") ? [] : cookies,
            headers: headers.filter { !names.contains($0.lowercased()) },
            credentials: credentials.filter { !names.contains($0.lowercased()) })
    }

    /// Returns whether a header cannot be forwarded, because it describes this connection or the gateway writes it
    /// itself.
    static func isRefused(_ name: String) -> Bool {
        let own: Set<String> = [
            "host", "content-length", "content-type", "cookie", "accept", "mcp-session-id", "mcp-protocol-version",
            "mcp-method", "mcp-name", "expect",
        ]
        return !HTTPSyntax.isToken(name) || own.contains(name.lowercased()) || FieldNames.isHopByHop(name)
    }
}
