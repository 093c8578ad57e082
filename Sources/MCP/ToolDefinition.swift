package import JSON

/// Hints about a tool's behaviour, from 2025-03-26. To be trusted only if the server is trusted.
package struct ToolAnnotations: Hashable, Sendable {
    /// Name for people.
    package var title: String?
    /// True if the tool changes nothing. Absent means false.
    package var readOnlyHint: Bool?
    /// True if the tool may destroy data. Absent means true.
    package var destructiveHint: Bool?
    /// True if a second run has no further effect. Absent means false.
    package var idempotentHint: Bool?
    /// True if the tool interacts with an open world. Absent means true.
    package var openWorldHint: Bool?

    /// Describes the behaviour of a tool (Tools, "Tool annotations").
    package init(
        title: String? = nil, readOnlyHint: Bool? = nil, destructiveHint: Bool? = nil, idempotentHint: Bool? = nil,
        openWorldHint: Bool? = nil
    ) {
        self.title = title
        self.readOnlyHint = readOnlyHint
        self.destructiveHint = destructiveHint
        self.idempotentHint = idempotentHint
        self.openWorldHint = openWorldHint
    }

    init(_ json: JSONObject, _ path: String) throws(MCPDecodingError) {
        let reader = MCPReader(json, path)
        title = try reader.optionalString("title")
        readOnlyHint = try reader.optionalBool("readOnlyHint")
        destructiveHint = try reader.optionalBool("destructiveHint")
        idempotentHint = try reader.optionalBool("idempotentHint")
        openWorldHint = try reader.optionalBool("openWorldHint")
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = [:]
        object.set("title", title)
        object.set("readOnlyHint", readOnlyHint)
        object.set("destructiveHint", destructiveHint)
        object.set("idempotentHint", idempotentHint)
        object.set("openWorldHint", openWorldHint)
        return .object(object)
    }
}

/// A tool, as listed by `tools/list`.
package struct ToolDefinition: Hashable, Sendable {
    /// Name that calls use.
    package var name: String
    /// Name for people, from 2025-06-18.
    package var title: String?
    package var description: String?
    /// JSON Schema of the arguments, kept verbatim; its type is `object`.
    package var inputSchema: JSONValue
    /// JSON Schema of `structuredContent`, from 2025-06-18; of type `object` before 2026-07-28.
    package var outputSchema: JSONValue?
    /// Hints about the tool's behaviour, to be trusted only for trusted servers.
    package var annotations: ToolAnnotations?
    /// Icons for user interfaces.
    package var icons: [Icon]
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Schema of a tool without arguments.
    package static let emptyInputSchema: JSONValue = ["type": "object", "properties": [:]]

    /// Describes a tool (Tools, "Data Types").
    package init(
        name: String, title: String? = nil, description: String? = nil,
        inputSchema: JSONValue = ToolDefinition.emptyInputSchema, outputSchema: JSONValue? = nil,
        annotations: ToolAnnotations? = nil, icons: [Icon] = [], meta: JSONObject = [:]
    ) {
        self.name = name
        self.title = title
        self.description = description
        self.inputSchema = inputSchema
        self.outputSchema = outputSchema
        self.annotations = annotations
        self.icons = icons
        self.meta = meta
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        try self.init(json, "tool")
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        guard let inputSchema = try reader.optionalObject("inputSchema") else {
            throw reader.failure("inputSchema", "object")
        }
        self.init(
            name: try reader.string("name"), title: try reader.optionalString("title"),
            description: try reader.optionalString("description"), inputSchema: .object(inputSchema),
            outputSchema: try reader.optionalObject("outputSchema").map { .object($0) },
            annotations: try reader.optionalObject("annotations").map {
                (json) throws(MCPDecodingError) in try ToolAnnotations(json, path + ".annotations")
            },
            icons: try Icon.list(reader), meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object.set("description", description)
        object.setIcons(icons, for: version)
        object["inputSchema"] = inputSchema
        if let outputSchema,
            version.hasAnyStructuredContent
                || (version.hasStructuredContent && outputSchema["type"] == "object")
        {
            object["outputSchema"] = outputSchema
        }
        if version.hasToolAnnotations { object.set("annotations", annotations?.json) }
        object.setMeta(meta, for: version)
        return .object(object)
    }
}
