/// A host with or without a port, as in `Host` and in an origin (RFC 3986 section 3.2).
package struct Authority: Hashable, Sendable {
    /// Name in lower case and without a dot at its end, or an IPv6 address without its brackets.
    package let host: String
    /// The port; nil where none is given.
    package let port: Int?
    /// Address, where the host is an address rather than a name.
    package let address: IPAddress?

    /// Reads `chat.example`, `127.0.0.1:8080`, `[::1]` or `[::1]:8080`; nil for anything else, an empty host included.
    package init?(_ text: some StringProtocol) {
        guard !text.utf8.isEmpty, text.utf8.count <= 300, text.utf8.allSatisfy(HTTPSyntax.authority.contains) else {
            return nil
        }
        self.init(lowercase: text.lowercased()[...].utf8)
    }

    private init?(lowercase text: Substring.UTF8View) {
        var host = text
        var digits = text[text.endIndex...]
        if text.first == UInt8(ascii: "[") {
            guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = text[..<end].dropFirst()
            let rest = text[end...].dropFirst()
            guard rest.isEmpty || rest.first == UInt8(ascii: ":") else { return nil }
            digits = rest.dropFirst()
            guard host.contains(UInt8(ascii: ":")), let address = IPAddress(Substring(host)) else { return nil }
            self.address = address
            self.host = "\(address)"
        } else {
            if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
                host = text[..<colon]
                digits = text[colon...].dropFirst()
            }
            if host.last == UInt8(ascii: ".") { host = host.dropLast() }
            guard !host.isEmpty, !host.contains(UInt8(ascii: "[")), !host.contains(UInt8(ascii: "]")) else {
                return nil
            }
            address = IPAddress(Substring(host))
            self.host = String(Substring(host))
        }
        guard !digits.isEmpty else {
            port = nil
            return
        }
        guard digits.count <= 5, digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(Substring(digits)),
            port <= 65_535
        else { return nil }
        self.port = port
    }
}

/// Origin of a page in the form of browsers, RFC 6454 section 6.2: `https://app.example:8443`.
package struct WebOrigin: Hashable, Sendable {
    /// The scheme in lower case.
    package let scheme: String
    /// Host, and the port unless it is the scheme's default.
    package let authority: Authority

    /// Reads an origin; nil for `null` and for anything with a path, a user or a list.
    package init?(_ text: some StringProtocol) {
        guard let mark = text.firstRange(of: "://"), mark.lowerBound > text.startIndex,
            let authority = Authority(text[mark.upperBound...])
        else { return nil }
        let scheme = text[..<mark.lowerBound].lowercased()
        // RFC 3986 section 3.1; browser extensions have schemes of their own.
        guard let first = scheme.utf8.first, (0x61...0x7A).contains(first),
            scheme.utf8.allSatisfy({
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0)
            })
        else { return nil }
        self.scheme = scheme
        self.authority = authority
    }

    /// Port, by default the scheme's; nil for a scheme without one.
    private var port: Int? { authority.port ?? Self.port(of: scheme) }

    private static func port(of scheme: String) -> Int? {
        switch scheme {
        case "http", "ws": 80
        case "https", "wss": 443
        default: nil
        }
    }

    /// Returns whether the origin's host and port are those of an authority, whose port defaults to that of the
    /// origin's scheme.
    package func isSame(as other: Authority) -> Bool {
        authority.host == other.host && port == (other.port ?? Self.port(of: scheme))
    }

    package static func == (left: WebOrigin, right: WebOrigin) -> Bool {
        left.scheme == right.scheme && left.authority.host == right.authority.host && left.port == right.port
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(scheme)
        hasher.combine(authority.host)
    }
}
