import HTTPSyntax
import JSONConfiguration

/// Origins whose pages may read the responses of `/api/chat/`, `/mcp` and `/auth/` (Fetch, section 3.2).
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `origins` | list | empty | `https://app.example`, or `*` alone for all |
/// | `credentials` | boolean | false | lets pages of these origins send the visitor's cookies; not with `*` |
/// | `headers` | list | empty | further request headers that these pages may send |
/// | `maxAge` | duration | 10 min | time for which browsers may cache a preflight response |
///
/// With `credentials`, pages of these origins may also send requests with cookies, as those of `allowedOrigins` may.
package struct CORSConfiguration: Hashable, Sendable {
    /// Origins in lower case.
    package let origins: [String]
    /// True if requests of other origins may carry cookies.
    package let credentials: Bool
    /// Request headers in lower case.
    package let headers: [String]
    /// Time that browsers keep the answer to a preflight request.
    package let maxAge: Duration

    init(_ reader: ConfigurationReader) {
        origins = reader.strings(
            "origins", default: [], "Origins, such as https://app.example, whose pages may read responses; * for all."
        ).map { $0.lowercased() }
        credentials = reader.bool(
            "credentials", default: false, "true: those pages may send the visitor's cookies.")
        headers = reader.strings("headers", default: [], "Names of further request headers that those pages may send.")
            .map { $0.lowercased() }
        maxAge = reader.duration(
            "maxAge", default: .seconds(600), in: .zero...(.seconds(86400)),
            "Time for which browsers may cache the response to a preflight request.")
        for origin in origins where origin != "*" && WebOrigin(origin) == nil {
            reader.fail("origins", expected: "scheme://host[:port] or *", found: "\"\(origin)\"")
        }
        if origins.contains("*"), credentials || origins.count > 1 {
            reader.fail(
                "origins", expected: "* alone and without credentials",
                found: credentials ? "* with credentials" : "* beside others")
        }
        for name in headers where !HTTPSyntax.isToken(name) {
            reader.fail("headers", expected: "a header's name", found: "\"\(name)\"")
        }
    }
}
