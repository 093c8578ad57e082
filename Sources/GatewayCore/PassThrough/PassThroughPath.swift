import JSON

/// Paths that are passed through, and the upstream's paths for them.
enum PassThroughPath {
    /// The prefixes that are passed through.
    enum Prefix: String {
        case mcp, auth
        /// The tool-server's authorization server.
        case oauth
        /// The descriptions of the endpoint as an OAuth protected resource (RFC 9728) and of its authorization server
        /// (RFC 8414, in both of its forms).
        case metadata
    }

    private static let metadata = "/.well-known/oauth-"
    private static let openID = "/.well-known/openid-configuration"

    /// Returns the prefix of a path that belongs to the pass-through by its spelling; ``isSafe(_:)`` decides whether it
    /// may be sent.
    static func prefix(of path: Substring) -> Prefix? {
        if path == "/mcp" || path.hasPrefix("/mcp/") { return .mcp }
        if path.hasPrefix(metadata) || path == openID || path.hasPrefix(openID + "/") { return .metadata }
        if path.hasPrefix("/oauth/") { return .oauth }
        return path.hasPrefix("/auth/") ? .auth : nil
    }

    /// Returns whether every reading of the path, however often it is decoded or normalised, stays below its prefix.
    static func isSafe(_ path: Substring) -> Bool {
        guard let decoded = decoded(path) else { return false }
        // An escape that remains after decoding was escaped twice, to hide something from one of the readers.
        for place in decoded.indices where decoded[place] == UInt8(ascii: "%") {
            if value(ofDigits: decoded[(place + 1)...]) != nil { return false }
        }
        let segments = path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        // Only the last one may be empty: the path of a directory.
        return segments.enumerated().allSatisfy { index, segment in
            (!segment.isEmpty || index == segments.count - 1) && !isDotSegment(segment)
        }
    }

    /// Returns the tool that a path below `/mcp/` names, in each way that some upstream may read it; empty for the
    /// endpoint.
    static func tools(_ path: Substring) -> [String] {
        guard path.hasPrefix("/mcp/"), let decoded = decoded(path.dropFirst("/mcp/".count)) else { return [] }
        let name = decoded.prefix { $0 != UInt8(ascii: "/") }
        guard !name.isEmpty else { return [] }
        // Some servers cut off path parameters.
        let short = name.prefix { $0 != UInt8(ascii: ";") }
        return (short.count == name.count ? [name] : [name, short]).map {
            CombiningMarks.bounded(String(decoding: $0, as: UTF8.self))
        }
    }

    /// Returns the decoded path; nil when a character or an escape is not allowed in a path, or would be taken for a
    /// delimiter by some reader.
    private static func decoded(_ path: Substring) -> [UInt8]? {
        var decoded: [UInt8] = []
        let bytes = Array(path.utf8)
        var place = 0
        while place < bytes.count {
            let byte = bytes[place]
            guard byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\\"), byte != UInt8(ascii: "#") else { return nil }
            place += 1
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            guard let code = value(ofDigits: bytes[place...]), code >= 0x20, code != 0x7F,
                !"./\\".utf8.contains(code)
            else { return nil }
            decoded.append(code)
            place += 2
        }
        return decoded
    }

    /// Returns the value of the two hexadecimal digits at the start.
    private static func value(ofDigits bytes: ArraySlice<UInt8>) -> UInt8? {
        let digits = bytes.prefix(2)
        guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    /// Returns whether a path is the endpoint itself, with or without its last slash.
    static func isEndpoint(_ path: Substring) -> Bool { path == "/mcp" || path == "/mcp/" }

    /// Returns the upstream's path: `/mcp` and `/mcp/` stand for its endpoint as it is spelled, paths below them for
    /// paths below it; all other paths stay the same.
    static func upstreamPath(_ path: Substring, _ prefix: Prefix, endpoint: String) -> String {
        guard prefix == .mcp else { return String(path) }
        return isEndpoint(path) ? endpoint : folder(endpoint) + path.dropFirst("/mcp".count)
    }

    /// Returns the gateway's path for a path of the upstream, which a redirect names; nil for one outside its endpoint.
    static func gatewayPath(_ path: Substring, endpoint: String) -> String? {
        let folder = folder(endpoint)
        guard path.hasPrefix(folder) else { return nil }
        let rest = path.dropFirst(folder.count)
        guard rest.isEmpty || rest.hasPrefix("/") || rest.hasPrefix("?") || rest.hasPrefix("#") else { return nil }
        return "/mcp" + rest
    }

    /// Returns the endpoint without its last slash.
    private static func folder(_ endpoint: String) -> String {
        endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    }

    /// Returns whether a segment is `.` or `..`, also with parameters (`..;x`), which some servers cut off first.
    private static func isDotSegment(_ segment: Substring.UTF8View) -> Bool {
        let name = segment.prefix { $0 != UInt8(ascii: ";") }
        return (name.count == 1 || name.count == 2) && name.allSatisfy { $0 == UInt8(ascii: ".") }
    }
}
