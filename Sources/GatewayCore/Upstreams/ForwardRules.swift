import HTTPSyntax
import MCPClient

/// Rules for the headers and cookies that are forwarded, prepared for one pass over a request's headers.
package struct ForwardRules: Sendable {
    private let cookies: [[UInt8]]
    /// Names in lower case. Headers with a treatment of their own (`Authorization`, `traceparent`) are flags instead.
    private let headers: [[UInt8]]
    /// Names in lower case of those headers that identify the caller.
    private let credentials: Set<String>
    /// Bit set of the lengths of the names in `headers`: bit n for n bytes. Most headers of a request are skipped by
    /// this alone.
    private let lengths: UInt64
    let forwardsAuthorization: Bool
    let forwardsTraceparent: Bool

    /// Prepares the rules of a configuration.
    package init(_ configuration: ForwardConfiguration) {
        cookies = configuration.cookies.map { Array($0.utf8) }
        // Never forwarded: the gateway has checked which page sent the request, and the upstream does not know the host
        // names under which clients reach the gateway.
        let names = Set(configuration.headers.map { $0.lowercased() })
            .filter { $0 != "origin" && !$0.hasPrefix("sec-fetch-") }
        forwardsAuthorization = names.contains("authorization")
        forwardsTraceparent = names.contains("traceparent")
        headers = names.subtracting(["authorization", "traceparent"]).sorted().map { Array($0.utf8) }
        credentials = names.intersection(configuration.credentials.map { $0.lowercased() })
            .subtracting(["authorization", "traceparent"])
        lengths = headers.reduce(0) { $0 | 1 << UInt64(min($1.count, 63)) }
    }

    /// Returns whether a header is forwarded unchanged.
    func forwards(_ name: String) -> Bool {
        let utf8 = name.utf8
        guard lengths & 1 << UInt64(min(utf8.count, 63)) != 0 else { return false }
        return headers.contains { HTTPSyntax.equals($0, utf8) }
    }

    /// Returns whether a forwarded header identifies the caller.
    func identifiesCaller(_ name: String) -> Bool {
        !credentials.isEmpty && credentials.contains(name.lowercased())
    }

    /// Returns the named cookies as they are forwarded, in the order of the configuration and each once, as
    /// ``CookieField`` reads them; nil when there are none.
    ///
    /// The same cookies give the same text, however a client spells them: callers are distinguished by it.
    package func forwardedCookies(of fields: [String]) -> String? {
        var pairs: [String?] = Array(repeating: nil, count: cookies.count)
        for field in fields {
            var field = field
            field.withUTF8 { bytes in
                CookieField.forEachPair(in: bytes) { name, value in
                    guard let place = cookies.firstIndex(where: { $0.elementsEqual(bytes[name]) }) else { return }
                    pairs[place] =
                        String(decoding: bytes[name], as: UTF8.self) + "="
                        + String(decoding: bytes[value], as: UTF8.self)
                }
            }
        }
        let found = pairs.compactMap(\.self)
        return found.isEmpty ? nil : found.joined(separator: "; ")
    }

    /// Returns whether a field is exactly one of the named cookies, spelled as it is forwarded.
    func isOneCookie(_ field: String) -> Bool {
        var field = field
        return field.withUTF8 { bytes in
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return false }
            let isPlain = bytes[(equals + 1)...].allSatisfy {
                $0 > 0x20 && $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: "\"")
            }
            return isPlain && cookies.contains { $0.elementsEqual(bytes[..<equals]) }
        }
    }
}
