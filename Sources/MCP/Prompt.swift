package import JSON

/// An argument of a prompt; values are strings.
package struct PromptArgument: Hashable, Sendable {
    /// Name for programs.
    package var name: String
    /// Name for people.
    package var title: String?
    package var description: String?
    /// True if the argument is required.
    package var required: Bool

    /// Describes an argument.
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

/// A prompt, as listed by `prompts/list`.
package struct Prompt: Hashable, Sendable {
    /// Name for programs.
    package var name: String
    /// Name for people.
    package var title: String?
    package var description: String?
    /// Arguments that the prompt takes.
    package var arguments: [PromptArgument]
    /// Icons for user interfaces.
    package var icons: [Icon]
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes a prompt (Prompts, "Data Types").
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

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
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

    /// Returns the JSON form in a revision.
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
    /// Author of the message.
    package var role: Role
    /// Content of the message.
    package var content: ContentBlock

    /// Describes a message of a prompt.
    package init(role: Role, content: ContentBlock) {
        self.role = role
        self.content = content
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            role: try reader.role(), content: try ContentBlock(reader.object["content"] ?? .null, path + ".content"))
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        ["role": .string(role.rawValue), "content": content.json(for: version)]
    }
}

/// Result of `prompts/get`.
package struct GetPromptResult: Hashable, Sendable {
    package var description: String?
    /// Messages of the prompt, in order.
    package var messages: [PromptMessage]
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Answers `prompts/get`.
    package init(description: String? = nil, messages: [PromptMessage], meta: JSONObject = [:]) {
        self.description = description
        self.messages = messages
        self.meta = meta
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            description: try reader.optionalString("description"),
            messages: try reader.list("messages") { json, path throws(MCPDecodingError) in
                try PromptMessage(json, path)
            },
            meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [:]
        object.set("description", description)
        object["messages"] = .array(messages.map { $0.json(for: version) })
        if !meta.isEmpty { object["_meta"] = .object(meta) }
        return .object(MCPResult.complete(object, for: version))
    }
}
