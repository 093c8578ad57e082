package import JSON

/// A message of a conversation with a model. Content is one block, or several from 2025-11-25.
package struct SamplingMessage: Hashable, Sendable {
    /// Author of the message.
    package var role: Role
    /// Content of the message.
    package var content: [ContentBlock]

    /// Describes a message to or from the model.
    package init(role: Role, content: [ContentBlock]) {
        self.role = role
        self.content = content
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(role: try reader.role(), content: try Self.content(reader))
    }

    static func content(_ reader: MCPReader) throws(MCPDecodingError) -> [ContentBlock] {
        if reader.object["content"]?.array != nil {
            return try reader.list("content") { json, path throws(MCPDecodingError) in try ContentBlock(json, path) }
        }
        return [try ContentBlock(reader.object["content"] ?? .null, reader.path + ".content")]
    }

    /// Returns content in a revision. A single block stands alone in every revision; several become an array, or before
    /// 2025-11-25 their joined text.
    static func json(_ content: [ContentBlock], for version: MCPVersion) -> JSONValue {
        if content.count == 1 { return content[0].json(for: version) }
        guard version.hasSamplingTools else {
            return ContentBlock.text(content.compactMap(\.text).joined(separator: "\n")).json(for: version)
        }
        return .array(content.map { $0.json(for: version) })
    }

    func json(for version: MCPVersion) -> JSONValue {
        ["role": .string(role.rawValue), "content": Self.json(content, for: version)]
    }
}

/// Parameters of `sampling/createMessage`, a request to the client's model.
package struct CreateMessageParameters: Hashable, Sendable {
    /// Conversation so far.
    package var messages: [SamplingMessage]
    /// System prompt that the server asks for.
    package var systemPrompt: String?
    /// Largest number of tokens to sample.
    package var maxTokens: Int
    /// Sampling temperature; nil for the client's default.
    package var temperature: Double?
    /// Texts at which the answer ends.
    package var stopSequences: [String]
    /// Tools of the model, from 2025-11-25, for clients that declare `sampling.tools`.
    package var tools: [ToolDefinition]
    /// Further members, passed on unchanged: `modelPreferences`, `metadata`, `includeContext`, `toolChoice`.
    package var others: JSONObject

    private static let passedOn = ["modelPreferences", "metadata", "includeContext", "toolChoice"]

    /// Asks the client's model (Sampling, "Creating Messages").
    package init(
        messages: [SamplingMessage], systemPrompt: String? = nil, maxTokens: Int, temperature: Double? = nil,
        stopSequences: [String] = [], tools: [ToolDefinition] = [], others: JSONObject = [:]
    ) {
        self.messages = messages
        self.systemPrompt = systemPrompt
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.stopSequences = stopSequences
        self.tools = tools
        self.others = others
    }

    /// Reads the parameters of `sampling/createMessage`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        self.init(
            messages: try reader.list("messages") { json, path throws(MCPDecodingError) in
                try SamplingMessage(json, path)
            },
            systemPrompt: try reader.optionalString("systemPrompt"), maxTokens: try reader.int("maxTokens"),
            temperature: try reader.optionalDouble("temperature"),
            stopSequences: try reader.optionalStrings("stopSequences") ?? [],
            tools: try reader.optionalList("tools") { json, path throws(MCPDecodingError) in
                try ToolDefinition(json, path)
            } ?? [],
            others: JSONObject(Self.passedOn.compactMap { key in params[key].map { (key, $0) } }))
    }

    /// Returns the parameters in a revision.
    package func params(for version: MCPVersion) -> JSONObject {
        var object: JSONObject = ["messages": .array(messages.map { $0.json(for: version) })]
        object.set("systemPrompt", systemPrompt)
        object["maxTokens"] = .number(maxTokens)
        object.set("temperature", temperature)
        if !stopSequences.isEmpty { object.set("stopSequences", stopSequences) }
        if !tools.isEmpty, version.hasSamplingTools {
            object["tools"] = .array(tools.map { $0.json(for: version) })
        }
        for (key, value) in others where key != "toolChoice" || version.hasSamplingTools { object[key] = value }
        return object
    }
}

/// Answer of the client's model (Sampling).
package struct CreateMessageResult: Hashable, Sendable {
    /// Author of the message.
    package var role: Role
    /// Content of the message.
    package var content: [ContentBlock]
    /// Name of the model that answered.
    package var model: String
    /// Reason for the end of the answer, such as `endTurn`.
    package var stopReason: String?

    /// Answers a sampling request.
    package init(role: Role = .assistant, content: [ContentBlock], model: String, stopReason: String? = nil) {
        self.role = role
        self.content = content
        self.model = model
        self.stopReason = stopReason
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        let message = try SamplingMessage(json, "result")
        self.init(
            role: message.role, content: message.content, model: try reader.string("model"),
            stopReason: try reader.optionalString("stopReason"))
    }

    /// Text blocks, joined by newlines.
    package var text: String { content.compactMap(\.text).joined(separator: "\n") }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [
            "role": .string(role.rawValue), "content": SamplingMessage.json(content, for: version),
            "model": .string(model),
        ]
        object.set("stopReason", stopReason)
        return .object(object)
    }
}

/// A directory or other root in which a client lets servers work.
package struct Root: Hashable, Sendable {
    /// URI of the root, `file://`.
    package var uri: String
    /// Name for people.
    package var name: String?

    /// Describes a root (Roots, "Data Types").
    package init(uri: String, name: String? = nil) {
        self.uri = uri
        self.name = name
    }

    /// Reads the result of `roots/list`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package static func list(json: JSONValue) throws(MCPDecodingError) -> [Root] {
        try MCPReader(json, "result").list("roots") { json, path throws(MCPDecodingError) in
            let reader = try MCPReader(json, path)
            return Root(uri: try reader.string("uri"), name: try reader.optionalString("name"))
        }
    }

    /// Returns the result of `roots/list`.
    package static func json(_ roots: [Root]) -> JSONValue {
        [
            "roots": .array(
                roots.map { root in
                    var object: JSONObject = ["uri": .string(root.uri)]
                    object.set("name", root.name)
                    return .object(object)
                })
        ]
    }
}
