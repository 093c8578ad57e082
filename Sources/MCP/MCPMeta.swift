package import JSON

/// Keys of `_meta`.
package enum MCPMeta {
    /// Key of the revision that the request is written in.
    package static let protocolVersion = "io.modelcontextprotocol/protocolVersion"
    /// Key of the client's capabilities.
    package static let clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
    /// Key of the client's name and version.
    package static let clientInfo = "io.modelcontextprotocol/clientInfo"
    /// Key of the least severe log messages that the client wants.
    package static let logLevel = "io.modelcontextprotocol/logLevel"
    /// Key of the server's name and version.
    package static let serverInfo = "io.modelcontextprotocol/serverInfo"
    /// Key of the subscription that a notification belongs to.
    package static let subscriptionID = "io.modelcontextprotocol/subscriptionId"
    /// Key of the token that progress notifications repeat (Progress).
    package static let progressToken = "progressToken"
    /// Key of the W3C trace context.
    package static let traceparent = "traceparent"
    /// Key of the W3C trace state.
    package static let tracestate = "tracestate"
    /// Key of W3C baggage.
    package static let baggage = "baggage"

    /// Prefix of this package's own keys: reverse DNS, slash, name.
    package static let ownPrefix = "dev.chatgateway/"
    /// Key of the HTTP status (4xx) that a tool declares for its error; the gateway uses it where the type allows it.
    package static let status = ownPrefix + "status"
    /// Key of the tool that is being called on the way to the answer, in a progress notification.
    package static let tool = ownPrefix + "tool"
    /// Key of the idempotency key of a call: text that is the same for every attempt of one call. Two calls of one caller
    /// with the same key and arguments are one, so that a write is carried out once.
    package static let idempotencyKey = ownPrefix + "idempotencyKey"
    /// In the result of `get_user_info`: what the caller's credential says besides its name, `scopes` and `claims`.
    package static let caller = ownPrefix + "caller"
}

/// The request metadata of 2026-07-28 (base protocol, `_meta`).
package struct RequestMetadata: Hashable, Sendable {
    /// Requested revision as sent, perhaps one that is not supported here.
    package var protocolVersion: String
    /// Capabilities of the client.
    package var clientCapabilities: ClientCapabilities
    /// Name and version of the client.
    package var clientInfo: Implementation?
    /// Least severe log messages that the client wants; nil for none.
    package var logLevel: LoggingLevel?
    /// Token that progress notifications repeat; nil where none are wanted.
    package var progressToken: ProgressToken?

    /// Describes the `_meta` of a modern request.
    package init(
        protocolVersion: String, clientCapabilities: ClientCapabilities = ClientCapabilities(),
        clientInfo: Implementation? = nil, logLevel: LoggingLevel? = nil, progressToken: ProgressToken? = nil
    ) {
        self.protocolVersion = protocolVersion
        self.clientCapabilities = clientCapabilities
        self.clientInfo = clientInfo
        self.logLevel = logLevel
        self.progressToken = progressToken
    }

    /// Returns whether `params._meta` makes a request a modern one, well-formed or not.
    package static func isModern(_ meta: JSONObject) -> Bool {
        meta[MCPMeta.protocolVersion] != nil || meta[MCPMeta.clientCapabilities] != nil
    }

    /// - Throws: The error to answer as -32602: a required key is missing, or a value is of the wrong kind.
    package init(meta: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(meta, "_meta")
        protocolVersion = try reader.string(MCPMeta.protocolVersion)
        guard let capabilities = meta[MCPMeta.clientCapabilities] else {
            throw MCPDecodingError("_meta.\(MCPMeta.clientCapabilities): missing, expected object")
        }
        clientCapabilities = try ClientCapabilities(json: capabilities)
        if let info = try reader.optionalObject(MCPMeta.clientInfo) {
            clientInfo = try Implementation(json: .object(info))
        }
        if let level = try reader.optionalString(MCPMeta.logLevel) {
            logLevel = LoggingLevel(rawValue: level)
            guard logLevel != nil else { throw reader.failure(MCPMeta.logLevel, "a logging level") }
        }
        if let token = meta[MCPMeta.progressToken], !token.isNull {
            progressToken = ProgressToken(token)
            guard progressToken != nil else { throw reader.failure(MCPMeta.progressToken, "string or integer") }
        }
    }

    /// Members for `params._meta`.
    package var json: JSONObject {
        var object: JSONObject = [
            MCPMeta.protocolVersion: .string(protocolVersion),
            MCPMeta.clientCapabilities: clientCapabilities.json(for: .latestModern),
        ]
        object.set(MCPMeta.clientInfo, clientInfo?.json(for: .latestModern))
        object.set(MCPMeta.logLevel, logLevel?.rawValue)
        object.set(MCPMeta.progressToken, progressToken?.json)
        return object
    }
}
