/// A URI to which an authorization response may be sent.
struct RedirectURI: Hashable, Sendable {
    /// URI as registered or requested.
    let text: String
    /// Scheme in lower case.
    let scheme: String
    /// Host in lower case; for an application's own scheme the part in its place, or empty.
    let host: String
    /// True for an http URI of a loopback address, whose port the client chooses when it starts (RFC 8252, 7.3).
    let isLoopback: Bool
    /// Text without the port.
    private let withoutPort: String

    /// Schemes that lead back into the browser or to its files.
    private static let forbidden: Set<String> = [
        "javascript", "data", "file", "vbscript", "about", "blob", "filesystem", "view-source", "ws", "wss", "ftp",
        "mailto", "chrome", "resource",
    ]
    private static let maximumLength = 2000

    /// Creates a URI; nil unless the text is an absolute URI without fragment and user, with https, http on a loopback
    /// address, or an application's own scheme.
    init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}#".utf8.contains($0) }),
            let colon = text.firstIndex(of: ":")
        else { return nil }
        let scheme = text[..<colon].lowercased()
        guard let first = scheme.utf8.first, (0x61...0x7A).contains(first),
            scheme.utf8.allSatisfy({
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0)
            }), !Self.forbidden.contains(scheme)
        else { return nil }
        let rest = text[text.index(after: colon)...]
        var authority: Substring = ""
        if rest.hasPrefix("//") { authority = rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" } }
        guard !authority.contains("@"), !authority.contains("%") else { return nil }
        let split = Self.split(authority)
        guard let (host, port) = split else { return nil }
        let isWeb = scheme == "https" || scheme == "http"
        guard !isWeb || !host.isEmpty else { return nil }
        self.text = text
        self.scheme = scheme
        self.host = host.lowercased()
        isLoopback = scheme == "http" && ["127.0.0.1", "[::1]", "localhost"].contains(self.host)
        guard scheme != "http" || isLoopback else { return nil }
        withoutPort = scheme + "://" + host + rest.dropFirst(2 + authority.count)
        if let port, UInt16(port) == nil { return nil }
    }

    /// Returns host and port of an authority; nil when it is malformed.
    private static func split(_ authority: Substring) -> (host: String, port: Substring?)? {
        let host: Substring
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = authority[...close]
        } else {
            host = authority.prefix { $0 != ":" }
        }
        let tail = authority[host.endIndex...]
        guard !tail.isEmpty else { return (String(host), nil) }
        guard tail.first == ":", tail.dropFirst().allSatisfy(\.isASCIIDigit) else { return nil }
        return (String(host), tail.count == 1 ? nil : tail.dropFirst())
    }

    /// Returns whether a requested URI equals this registered one, byte for byte except for the port of a loopback
    /// address.
    func matches(_ requested: RedirectURI) -> Bool {
        if text.utf8.elementsEqual(requested.text.utf8) { return true }
        return isLoopback && requested.isLoopback && withoutPort.utf8.elementsEqual(requested.withoutPort.utf8)
    }

    /// Returns the URI with parameters added to its query.
    func adding(_ parameters: [(String, String)]) -> String {
        text + (text.contains("?") ? "&" : "?") + FormFields.encode(parameters)
    }

    /// Source expression of a content security policy that allows a form to lead there.
    var policySource: String {
        guard scheme == "https" || scheme == "http" else { return scheme + ":" }
        return "\(text.prefix(scheme.utf8.count + 3))\(authority)"
    }

    private var authority: Substring {
        text.dropFirst(scheme.utf8.count + 3).prefix { $0 != "/" && $0 != "?" }
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { utf8.count == 1 && ("0"..."9").contains(self) }
}
