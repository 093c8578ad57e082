package import JSON

/// An argument of a prompt; values are strings.
package struct PromptArgument: Hashable, Sendable {
    package var name: String
    package var title: String?
    package var description: String?
    package var required: Bool

    package init(name: String, title: String? = nil, description: String? = nil, required: Bool = false) {
        self.name = name
        self.title = title
        self.description = description
        self.required = required
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            name: try reader.string("name"), title: try reader.optionalString("title"),
            description: try reader.optionalString("description"),
            required: try reader.optionalBool("required") ?? false)
    }

    func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object.set("description", description)
        if required { object["required"] = true }
        return .object(object)
    }
}

/// A prompt as `prompts/list` shows it.
package struct Prompt: Hashable, Sendable {
    package var name: String
    package var title: String?
    package var description: String?
    package var arguments: [PromptArgument]
    package var icons: [Icon]
    package var meta: JSONObject

    package init(
        name: String, title: String? = nil, description: String? = nil, arguments: [PromptArgument] = [],
        icons: [Icon] = [], meta: JSONObject = [:]
    ) {
        self.name = name
        self.title = title
        self.description = description
        self.arguments = arguments
        self.icons = icons
        self.meta = meta
    }

    package init(json: JSONValue) throws(MCPDecodingError) {
        try self.init(json, "prompt")
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            name: try reader.string("name"), title: try reader.optionalString("title"),
            description: try reader.optionalString("description"),
            arguments: try reader.optionalList("arguments") { json, path throws(MCPDecodingError) in
                try PromptArgument(json, path)
            } ?? [],
            icons: try Icon.list(reader), meta: try reader.meta())
    }

    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object.set("description", description)
        if !arguments.isEmpty { object["arguments"] = .array(arguments.map { $0.json(for: version) }) }
        object.setIcons(icons, for: version)
        object.setMeta(meta, for: version)
        return .object(object)
    }
}

/// One message of a prompt.
package struct PromptMessage: Hashable, Sendable {
    package var role: Role
    package var content: ContentBlock

    package init(role: Role, content: ContentBlock) {
        self.role = role
        self.content = content
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        guard let role = Role(rawValue: try reader.string("role")) else {
            throw reader.failure("role", "\"user\" or \"assistant\"")
        }
        self.init(role: role, content: try ContentBlock(reader.object["content"] ?? .null, path + ".content"))
    }

    package func json(for version: MCPVersion) -> JSONValue {
        ["role": .string(role.rawValue), "content": content.json(for: version)]
    }
}

/// The answer to `prompts/get`.
package struct GetPromptResult: Hashable, Sendable {
    package var description: String?
    package var messages: [PromptMessage]
    package var meta: JSONObject

    package init(description: String? = nil, messages: [PromptMessage], meta: JSONObject = [:]) {
        self.description = description
        self.messages = messages
        self.meta = meta
    }

    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            description: try reader.optionalString("description"),
            messages: try reader.list("messages") { json, path throws(MCPDecodingError) in
                try PromptMessage(json, path)
            },
            meta: try reader.meta())
    }

    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [:]
        object.set("description", description)
        object["messages"] = .array(messages.map { $0.json(for: version) })
        if !meta.isEmpty { object["_meta"] = .object(meta) }
        return .object(MCPResult.complete(object, for: version))
    }
}
