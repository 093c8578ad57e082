package import HTTPSyntax

/// An absolute `http` or `https` URL without a user and a fragment.
package struct ServerURL: Hashable, Sendable {
    /// The URL as it was written.
    package let text: String
    /// Scheme, host and port.
    package let origin: WebOrigin
    /// Scheme and authority as they were written.
    package let base: String
    /// Path without a slash at its end; empty for that of the root.
    package let path: String
    /// `?` and the query, or the empty string.
    package let query: String

    /// Longest URL, in bytes.
    private static let limit = 2048

    /// Reads a URL; nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.limit,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"\"#<>\\^`{|}".utf8.contains($0) }),
            let mark = text.firstRange(of: "://")
        else { return nil }
        let end = text[mark.upperBound...].firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        guard let origin = WebOrigin(text[..<end]), origin.scheme == "https" || origin.scheme == "http" else {
            return nil
        }
        self.text = text
        self.origin = origin
        base = String(text[..<end])
        let path = text[end...].prefix { $0 != "?" }
        query = String(text[path.endIndex...])
        self.path = String(path.hasSuffix("/") ? path.dropLast() : path)
    }

    /// True if credentials may be sent there: over TLS, or to this machine.
    package var isConfidential: Bool {
        origin.scheme == "https" || origin.authority.host == "localhost"
            || origin.authority.address?.isLoopback == true
    }

    /// Returns the well-known URL with the path of this URL behind the name (RFC 8414 section 3.1, RFC 9728 section 3.1).
    func wellKnown(_ name: String) -> String { "\(base)/.well-known/\(name)\(path)\(query)" }

    /// Returns the well-known URL of the root, without the path.
    func rootWellKnown(_ name: String) -> String { "\(base)/.well-known/\(name)" }

    /// Returns the well-known URL behind the path (OpenID Connect Discovery 1.0, section 4).
    func appendedWellKnown(_ name: String) -> String { "\(base)\(path)/.well-known/\(name)" }
}
