import Identity
import JSON

/// What `/.well-known/oauth-protected-resource` says (RFC 9728, section 3.2).
struct ResourceMetadata: Sendable {
    let url: PublicURL
    let authorizationServers: [String]
    /// Every scope that some tool needs, sorted.
    let scopes: [String]

    /// Nil where nobody issues tokens for this server, or its public URL is not known.
    init?(_ configuration: ToolServerConfiguration) {
        guard configuration.identity.contains(.jwt) || configuration.oauth != nil,
            let url = configuration.access.publicURL
        else { return nil }
        self.url = url
        authorizationServers =
            (configuration.oauth == nil ? [] : [String(url.origin)])
            + (configuration.identity.contains(.jwt) ? configuration.jwt.authorizationServers : [])
        scopes = configuration.knownScopes
    }

    var reply: HTTPReply {
        var object: JSONObject = [
            "resource": .string(url.text),
            "authorization_servers": .array(authorizationServers.map { .string($0) }),
            "bearer_methods_supported": ["header"], "resource_name": .string(ToolServer.implementation.title ?? ""),
        ]
        if !scopes.isEmpty { object["scopes_supported"] = .array(scopes.map { .string($0) }) }
        var reply = HTTPReply.json(.object(object))
        // Public, and the same for everybody.
        reply.headers.replaceOrAdd(name: "Cache-Control", value: "public, max-age=300")
        return reply
    }
}

extension ToolServerConfiguration {
    /// Every scope that some tool needs, sorted.
    var knownScopes: [String] { Set(access.tools.values.flatMap(\.scopes)).sorted() }
}
