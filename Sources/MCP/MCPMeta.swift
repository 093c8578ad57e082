package import JSON

/// Keys of `_meta`.
package enum MCPMeta {
    package static let protocolVersion = "io.modelcontextprotocol/protocolVersion"
    package static let clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
    package static let clientInfo = "io.modelcontextprotocol/clientInfo"
    package static let logLevel = "io.modelcontextprotocol/logLevel"
    package static let serverInfo = "io.modelcontextprotocol/serverInfo"
    package static let subscriptionID = "io.modelcontextprotocol/subscriptionId"
    package static let progressToken = "progressToken"
    package static let traceparent = "traceparent"
    package static let tracestate = "tracestate"
    package static let baggage = "baggage"

    /// This package's own keys: reverse DNS, slash, name.
    package static let ownPrefix = "dev.chatgateway/"
    /// HTTP status (4xx) that a tool declares for its error; the gateway honours it where the type allows.
    package static let status = ownPrefix + "status"
    /// In a progress notification: the tool that is being called on the way to the answer.
    package static let tool = ownPrefix + "tool"
}

/// The request metadata of 2026-07-28 (base protocol, `_meta`).
package struct RequestMetadata: Hashable, Sendable {
    /// As sent: it may name a revision that is not spoken here.
    package var protocolVersion: String
    package var clientCapabilities: ClientCapabilities
    package var clientInfo: Implementation?
    package var logLevel: LoggingLevel?
    package var progressToken: ProgressToken?

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

    /// Whether `params._meta` makes a request a modern one, well-formed or not.
    package static func isModern(_ meta: JSONObject) -> Bool {
        meta[MCPMeta.protocolVersion] != nil || meta[MCPMeta.clientCapabilities] != nil
    }

    /// - Throws: what to answer as -32602: a required key that is missing, or a value of the wrong kind.
    package init(meta: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(meta, "_meta")
        protocolVersion = try reader.string(MCPMeta.protocolVersion)
        clientCapabilities = try ClientCapabilities(json: meta[MCPMeta.clientCapabilities] ?? .null)
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

    /// The members to put into `params._meta`.
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
