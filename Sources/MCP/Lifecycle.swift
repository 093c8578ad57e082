package import JSON

/// Parameters of `initialize` (legacy).
package struct InitializeParameters: Hashable, Sendable {
    /// Requested revision as sent, perhaps one that is not supported here.
    package var protocolVersion: String
    /// Capabilities of the client.
    package var capabilities: ClientCapabilities
    /// Name and version of the client.
    package var clientInfo: Implementation

    /// Asks for a session (Lifecycle, "Initialization").
    package init(protocolVersion: String, capabilities: ClientCapabilities, clientInfo: Implementation) {
        self.protocolVersion = protocolVersion
        self.capabilities = capabilities
        self.clientInfo = clientInfo
    }

    /// Reads the parameters of `initialize`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        self.init(
            protocolVersion: try MCPReader(params, "params").string("protocolVersion"),
            capabilities: try ClientCapabilities(json: params["capabilities"] ?? .null),
            clientInfo: try Implementation(json: params["clientInfo"] ?? .null))
    }

    /// Returns the parameters in a revision.
    package func params(for version: MCPVersion) -> JSONObject {
        [
            "protocolVersion": .string(protocolVersion),
            "capabilities": capabilities.json(for: version),
            "clientInfo": clientInfo.json(for: version),
        ]
    }
}

/// Result of `initialize`.
package struct InitializeResult: Hashable, Sendable {
    /// Revision that the server chose.
    package var protocolVersion: String
    /// Capabilities of the server.
    package var capabilities: ServerCapabilities
    /// Name and version of the server.
    package var serverInfo: Implementation
    /// Hints for the model on using the server.
    package var instructions: String?

    /// Answers `initialize`.
    package init(
        protocolVersion: String, capabilities: ServerCapabilities, serverInfo: Implementation,
        instructions: String? = nil
    ) {
        self.protocolVersion = protocolVersion
        self.capabilities = capabilities
        self.serverInfo = serverInfo
        self.instructions = instructions
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            protocolVersion: try reader.string("protocolVersion"),
            capabilities: try ServerCapabilities(json: reader.object["capabilities"] ?? .null),
            serverInfo: try Implementation(json: reader.object["serverInfo"] ?? .null),
            instructions: try reader.optionalString("instructions"))
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [
            "protocolVersion": .string(protocolVersion),
            "capabilities": capabilities.json(for: version),
            "serverInfo": serverInfo.json(for: version),
        ]
        object.set("instructions", instructions)
        return .object(object)
    }
}

/// Result of `server/discover` (2026-07-28).
package struct DiscoverResult: Hashable, Sendable {
    /// Revisions as sent, perhaps unknown ones too.
    package var supportedVersions: [String]
    /// Capabilities of the server.
    package var capabilities: ServerCapabilities
    /// Hints for the model on using the server.
    package var instructions: String?
    /// Name and version of the server, from `_meta`.
    package var serverInfo: Implementation?
    /// Lifetime and scope of the result in caches.
    package var cache: CacheHint

    /// Answers `server/discover`.
    package init(
        supportedVersions: [String], capabilities: ServerCapabilities, instructions: String? = nil,
        serverInfo: Implementation? = nil, cache: CacheHint = .none
    ) {
        self.supportedVersions = supportedVersions
        self.capabilities = capabilities
        self.instructions = instructions
        self.serverInfo = serverInfo
        self.cache = cache
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        guard let versions = try reader.optionalStrings("supportedVersions") else {
            throw reader.failure("supportedVersions", "array of strings")
        }
        self.init(
            supportedVersions: versions,
            capabilities: try ServerCapabilities(json: reader.object["capabilities"] ?? .null),
            instructions: try reader.optionalString("instructions"),
            serverInfo: (try reader.meta()[MCPMeta.serverInfo]).flatMap { try? Implementation(json: $0) },
            cache: CacheHint(result: reader.object) ?? .none)
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion = .latestModern) -> JSONValue {
        var object: JSONObject = [
            "supportedVersions": .array(supportedVersions.map { .string($0) }),
            "capabilities": capabilities.json(for: version),
        ]
        object.set("instructions", instructions)
        return .object(MCPResult.complete(object, for: version, serverInfo: serverInfo, cache: cache))
    }
}
