package import JSON

/// A document that a server offers.
package struct Resource: Hashable, Sendable {
    /// URI of the resource.
    package var uri: String
    /// Name for programs.
    package var name: String
    /// Name for people.
    package var title: String?
    package var description: String?
    /// Media type of the content.
    package var mimeType: String?
    /// Size in bytes before any encoding.
    package var size: Int?
    /// Audience, priority and time of change.
    package var annotations: Annotations?
    /// Icons for user interfaces.
    package var icons: [Icon]
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes a resource (Resources, "Data Types").
    package init(
        uri: String, name: String, title: String? = nil, description: String? = nil, mimeType: String? = nil,
        size: Int? = nil, annotations: Annotations? = nil, icons: [Icon] = [], meta: JSONObject = [:]
    ) {
        self.uri = uri
        self.name = name
        self.title = title
        self.description = description
        self.mimeType = mimeType
        self.size = size
        self.annotations = annotations
        self.icons = icons
        self.meta = meta
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        try self.init(json, "resource")
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            uri: try reader.string("uri"), name: try reader.string("name"), title: try reader.optionalString("title"),
            description: try reader.optionalString("description"), mimeType: try reader.optionalString("mimeType"),
            size: try reader.optionalInt("size"), annotations: try Annotations.read(reader),
            icons: try Icon.list(reader), meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["uri": .string(uri), "name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object.set("description", description)
        object.set("mimeType", mimeType)
        object.set("size", size)
        object.set("annotations", annotations?.json(for: version))
        object.setIcons(icons, for: version)
        object.setMeta(meta, for: version)
        return .object(object)
    }
}

/// A family of documents with URIs of a template (RFC 6570).
package struct ResourceTemplate: Hashable, Sendable {
    /// URI template (RFC 6570).
    package var uriTemplate: String
    /// Name for programs.
    package var name: String
    /// Name for people.
    package var title: String?
    package var description: String?
    /// Media type of the content.
    package var mimeType: String?
    /// Audience, priority and time of change.
    package var annotations: Annotations?
    /// Icons for user interfaces.
    package var icons: [Icon]
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes a resource template (Resources, "Resource Templates").
    package init(
        uriTemplate: String, name: String, title: String? = nil, description: String? = nil, mimeType: String? = nil,
        annotations: Annotations? = nil, icons: [Icon] = [], meta: JSONObject = [:]
    ) {
        self.uriTemplate = uriTemplate
        self.name = name
        self.title = title
        self.description = description
        self.mimeType = mimeType
        self.annotations = annotations
        self.icons = icons
        self.meta = meta
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        try self.init(json, "resourceTemplate")
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            uriTemplate: try reader.string("uriTemplate"), name: try reader.string("name"),
            title: try reader.optionalString("title"), description: try reader.optionalString("description"),
            mimeType: try reader.optionalString("mimeType"), annotations: try Annotations.read(reader),
            icons: try Icon.list(reader), meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["uriTemplate": .string(uriTemplate), "name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object.set("description", description)
        object.set("mimeType", mimeType)
        object.set("annotations", annotations?.json(for: version))
        object.setIcons(icons, for: version)
        object.setMeta(meta, for: version)
        return .object(object)
    }
}

/// Result of `resources/read`.
package struct ReadResourceResult: Hashable, Sendable {
    /// Contents; several for a resource made of parts.
    package var contents: [ResourceContents]
    /// Lifetime and scope of the contents in caches.
    package var cache: CacheHint
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Answers `resources/read`.
    package init(contents: [ResourceContents], cache: CacheHint = .none, meta: JSONObject = [:]) {
        self.contents = contents
        self.cache = cache
        self.meta = meta
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            contents: try reader.list("contents") { json, path throws(MCPDecodingError) in
                try ResourceContents(json, path)
            },
            cache: CacheHint(result: reader.object) ?? .none, meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["contents": .array(contents.map { $0.json(for: version) })]
        if !meta.isEmpty { object["_meta"] = .object(meta) }
        return .object(MCPResult.complete(object, for: version, cache: cache))
    }
}
