package import JSON

/// Role of an author or of an audience.
package enum Role: String, Hashable, Sendable {
    case user, assistant
}

/// Hints for programs that show or select content.
package struct Annotations: Hashable, Sendable {
    /// Roles that the content is meant for.
    package var audience: [Role]?
    /// Priority from 0 (least) to 1 (most important).
    package var priority: Double?
    /// Time of the last change in ISO 8601; from 2025-06-18.
    package var lastModified: String?

    /// Annotates content.
    package init(audience: [Role]? = nil, priority: Double? = nil, lastModified: String? = nil) {
        self.audience = audience
        self.priority = priority
        self.lastModified = lastModified
    }

    init(_ json: JSONObject, _ path: String) throws(MCPDecodingError) {
        let reader = MCPReader(json, path)
        // Unknown roles of later revisions are dropped: an audience is a hint.
        audience = try reader.optionalStrings("audience")?.compactMap(Role.init(rawValue:))
        priority = try reader.optionalDouble("priority")
        lastModified = try reader.optionalString("lastModified")
    }

    static func read(_ reader: MCPReader) throws(MCPDecodingError) -> Annotations? {
        guard let json = try reader.optionalObject("annotations") else { return nil }
        return try Annotations(json, reader.path + ".annotations")
    }

    func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [:]
        object.set("audience", audience?.map(\.rawValue))
        object.set("priority", priority)
        if version.hasTitles { object.set("lastModified", lastModified) }
        return .object(object)
    }
}

/// Text or bytes of a resource.
package struct ResourceContents: Hashable, Sendable {
    /// Text, or bytes in Base64.
    package enum Body: Hashable, Sendable {
        case text(String)
        /// Bytes in Base64, standard alphabet with padding.
        case blob(String)
    }

    /// URI of the resource.
    package var uri: String
    /// Media type of the content.
    package var mimeType: String?
    package var body: Body
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes the contents of a resource.
    package init(uri: String, mimeType: String? = nil, body: Body, meta: JSONObject = [:]) {
        self.uri = uri
        self.mimeType = mimeType
        self.body = body
        self.meta = meta
    }

    /// Describes contents that are text.
    package init(uri: String, mimeType: String? = nil, text: String) {
        self.init(uri: uri, mimeType: mimeType, body: .text(text))
    }

    /// Describes contents that are bytes, and encodes them as Base64.
    package init(uri: String, mimeType: String? = nil, bytes: some Sequence<UInt8>) {
        self.init(uri: uri, mimeType: mimeType, body: .blob(Base64.encode(bytes)))
    }

    init(_ json: JSONValue?, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        let body: Body
        if let text = try reader.optionalString("text") {
            body = .text(text)
        } else {
            body = .blob(try reader.string("blob"))
        }
        self.init(
            uri: try reader.string("uri"), mimeType: try reader.optionalString("mimeType"), body: body,
            meta: try reader.meta())
    }

    /// Text of the contents; nil for a blob.
    package var text: String? {
        if case .text(let text) = body { text } else { nil }
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["uri": .string(uri)]
        object.set("mimeType", mimeType)
        switch body {
        case .text(let text): object["text"] = .string(text)
        case .blob(let base64): object["blob"] = .string(base64)
        }
        object.setMeta(meta, for: version)
        return .object(object)
    }
}

/// A piece of a tool's result or of a prompt's message.
package enum ContentBlock: Hashable, Sendable {
    case text(String, annotations: Annotations? = nil, meta: JSONObject = [:])
    /// An image; `data` is Base64.
    case image(data: String, mimeType: String, annotations: Annotations? = nil, meta: JSONObject = [:])
    /// An audio recording, from 2025-03-26; `data` is Base64.
    case audio(data: String, mimeType: String, annotations: Annotations? = nil, meta: JSONObject = [:])
    case resource(ResourceContents, annotations: Annotations? = nil, meta: JSONObject = [:])
    /// A link to a resource, from 2025-06-18.
    case resourceLink(Resource)
    /// A block that this implementation only passes on: `tool_use`, `tool_result`, later additions.
    case other(JSONObject)

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        try self.init(json, "content")
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        let annotations = try Annotations.read(reader)
        let meta = try reader.meta()
        switch try reader.string("type") {
        case "text":
            self = .text(try reader.string("text"), annotations: annotations, meta: meta)
        case "image":
            self = .image(
                data: try reader.string("data"), mimeType: try reader.string("mimeType"), annotations: annotations,
                meta: meta)
        case "audio":
            self = .audio(
                data: try reader.string("data"), mimeType: try reader.string("mimeType"), annotations: annotations,
                meta: meta)
        case "resource":
            self = .resource(
                try ResourceContents(reader.object["resource"], path + ".resource"), annotations: annotations,
                meta: meta)
        case "resource_link":
            self = .resourceLink(try Resource(json, path))
        default:
            self = .other(reader.object)
        }
    }

    /// Text of a text block; nil for any other.
    package var text: String? {
        if case .text(let text, _, _) = self { text } else { nil }
    }

    /// Returns the block in a revision. A block that the revision lacks becomes a text that describes it.
    package func json(for version: MCPVersion) -> JSONValue {
        switch self {
        case .text(let text, let annotations, let meta):
            return Self.block("text", ["text": .string(text)], annotations, meta, version)
        case .image(let data, let mimeType, let annotations, let meta):
            return Self.block(
                "image", ["data": .string(data), "mimeType": .string(mimeType)], annotations, meta, version)
        case .audio(let data, let mimeType, let annotations, let meta):
            guard version.hasAudio else {
                return Self.note("[\(mimeType) audio: not available in revision \(version)]", annotations, version)
            }
            return Self.block(
                "audio", ["data": .string(data), "mimeType": .string(mimeType)], annotations, meta, version)
        case .resource(let contents, let annotations, let meta):
            return Self.block("resource", ["resource": contents.json(for: version)], annotations, meta, version)
        case .resourceLink(let resource):
            guard version.hasResourceLinks else {
                return Self.note("[\(resource.title ?? resource.name)](\(resource.uri))", resource.annotations, version)
            }
            var object: JSONObject = ["type": "resource_link"]
            object.merge(resource.json(for: version).object ?? [:])
            return .object(object)
        case .other(let object):
            return .object(object)
        }
    }

    private static func note(_ text: String, _ annotations: Annotations?, _ version: MCPVersion) -> JSONValue {
        block("text", ["text": .string(text)], annotations, [:], version)
    }

    private static func block(
        _ type: String, _ members: JSONObject, _ annotations: Annotations?, _ meta: JSONObject, _ version: MCPVersion
    ) -> JSONValue {
        var object: JSONObject = ["type": .string(type)]
        object.merge(members)
        object.set("annotations", annotations?.json(for: version))
        object.setMeta(meta, for: version)
        return .object(object)
    }
}
