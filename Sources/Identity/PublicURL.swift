/// URL of the MCP endpoint as clients reach it: the identifier of the OAuth protected resource (RFC 8707).
package struct PublicURL: Hashable, Sendable {
    /// URL as configured.
    package let text: String
    /// Scheme, host and port.
    package let origin: Substring
    private let path: Substring

    private static let wellKnown = "/.well-known/oauth-protected-resource"

    /// Creates the URL; nil unless the text is an absolute http or https URL in ASCII without user, query and fragment.
    package init?(_ text: String) {
        guard let scheme = ["https://", "http://"].first(where: { text.lowercased().hasPrefix($0) }),
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}?#@".utf8.contains($0) })
        else { return nil }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        guard !authority.isEmpty else { return nil }
        self.text = text
        path = rest.dropFirst(authority.count)
        origin = text.dropLast(path.count)
    }

    /// URL of its metadata: the well-known part stands between host and path (RFC 9728, section 3.1).
    package var metadataURL: String { "\(origin)\(metadataPath)" }

    /// The path of ``metadataURL``.
    var metadataPath: String { Self.wellKnown + (path == "/" ? "" : path) }

    /// Returns whether a request's path is that of the metadata. Proxies may have removed a prefix, so that the path
    /// without one and that of `/mcp` always count.
    package func isMetadata(_ requested: some StringProtocol) -> Bool {
        [Self.wellKnown, Self.wellKnown + "/mcp", Self.wellKnown + "/mcp/", metadataPath].contains { $0 == requested }
    }

    /// Returns whether a path belongs to the metadata of any resource.
    package static func isWellKnown(_ path: some StringProtocol) -> Bool {
        path == wellKnown || path.hasPrefix(wellKnown + "/")
    }
}
