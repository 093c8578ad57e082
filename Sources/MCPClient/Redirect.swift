/// Redirects that a client may follow: 307 and 308 keep method and body, and the origin must stay the same, because
/// credentials must not be sent to another one.
package enum Redirect {
    /// Resolves a `Location` against the requested URL.
    /// - Returns: The absolute URL to request instead; nil when the location leaves the origin or is not an HTTP URL.
    package static func target(_ location: String, from url: String) -> String? {
        guard let origin = origin(of: url), !location.isEmpty,
            location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        if location.hasPrefix("//") {
            return target((url.hasPrefix("https:") ? "https:" : "http:") + location, from: url)
        }
        if location.contains("://") {
            guard let other = self.origin(of: location), other == origin else { return nil }
            return location
        }
        let start = url.utf8.index(url.startIndex, offsetBy: pathOffset(of: url))
        if location.hasPrefix("/") { return String(url[..<start]) + location }
        // Other schemes (`javascript:`) are not followed; a relative path replaces the last segment.
        if location.prefix(while: { $0 != "/" }).contains(":") { return nil }
        let path = url[start...].prefix { $0 != "?" && $0 != "#" }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
        return String(url[..<start]) + folder + location
    }

    /// Returns scheme, host and port in a comparable form; nil for anything but http and https, or with user
    /// information.
    static func origin(of url: String) -> String? {
        let lower = url.lowercased()
        let port: String
        let rest: Substring
        if lower.hasPrefix("http://") {
            (port, rest) = ("80", lower.dropFirst(7))
        } else if lower.hasPrefix("https://") {
            (port, rest) = ("443", lower.dropFirst(8))
        } else {
            return nil
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@"), !authority.contains("\\") else { return nil }
        let scheme = port == "80" ? "http" : "https"
        let afterBracket = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[afterBracket...].lastIndex(of: ":") {
            let number = authority[authority.index(after: colon)...]
            return "\(scheme)://\(authority[..<colon]):\(number.isEmpty ? Substring(port) : number)"
        }
        return "\(scheme)://\(authority):\(port)"
    }

    /// Returns what follows the origin of an absolute URL: path, query and fragment; `/` where there is nothing.
    package static func path(of url: String) -> Substring {
        guard let start = url.utf8.index(url.startIndex, offsetBy: pathOffset(of: url), limitedBy: url.endIndex),
            start < url.endIndex
        else { return "/" }
        return url[start...]
    }

    private static func pathOffset(of url: String) -> Int {
        let scheme = url.lowercased().hasPrefix("https://") ? 8 : 7
        let rest = url.utf8.dropFirst(scheme)
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return scheme + authority.count
    }
}
