import Identity
import JSON

/// Document at `/.well-known/oauth-protected-resource` (RFC 9728, section 3.2).
struct ResourceMetadata: Sendable {
    let url: PublicURL
    let authorizationServers: [String]
    /// All scopes that tools require, sorted.
    let scopes: [String]

    /// Creates the document; nil where no authorization server issues tokens for this server, or its public URL is not
    /// configured.
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
        // The document is public, and the same for all callers.
        reply.headers.replaceOrAdd(name: "Cache-Control", value: "public, max-age=300")
        return reply
    }
}

extension ToolServerConfiguration {
    /// All scopes that tools require, sorted.
    var knownScopes: [String] { Set(access.tools.values.flatMap(\.scopes)).sorted() }
}
