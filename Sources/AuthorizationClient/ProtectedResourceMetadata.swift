package import JSON

/// Metadata of a protected resource (RFC 9728, section 2), as far as a client needs it.
package struct ProtectedResourceMetadata: Hashable, Sendable {
    /// Identifier of the resource, which a token is asked for (RFC 8707).
    package let resource: String
    /// Issuers of the authorization servers that the resource accepts tokens of, in its order.
    package let authorizationServers: [String]
    /// Scopes that are used with the resource; nil where the document does not say.
    package let scopes: ScopeSet?

    /// Largest number of authorization servers that are considered.
    package static let serverLimit = 4
    private static let name = "oauth-protected-resource"

    /// Reads a document; nil without an identifier, which it must have.
    package init?(_ document: JSONObject) {
        guard let resource = document["resource"]?.string else { return nil }
        self.resource = resource
        authorizationServers = Array(
            (document["authorization_servers"]?.array ?? []).compactMap(\.string).prefix(Self.serverLimit))
        scopes = document["scopes_supported"]?.array.map { ScopeSet($0.compactMap(\.string)) }
    }

    /// Returns the well-known URLs of a resource in the order of the MCP specification: with its path, then the root's.
    package static func locations(of resource: ServerURL) -> [String] {
        let inserted = resource.wellKnown(name)
        let root = resource.rootWellKnown(name)
        return inserted == root ? [root] : [inserted, root]
    }

    /// Returns whether the metadata is that of a URL: the same origin, and the same path or one above it. The metadata
    /// of another resource must not be used (RFC 9728, section 3.3).
    package func describes(_ url: ServerURL) -> Bool {
        guard let own = ServerURL(resource), own.origin == url.origin else { return false }
        guard own.query.isEmpty || own.query == url.query && own.path == url.path else { return false }
        return own.path == url.path || url.path.hasPrefix(own.path + "/")
    }
}
