package import JSON

/// An entry of one of the four lists.
package protocol MCPListable: Sendable {
    /// Member of the result that contains the entries.
    static var listKey: String { get }
    init(json: JSONValue) throws(MCPDecodingError)
    func json(for version: MCPVersion) -> JSONValue
}

extension ToolDefinition: MCPListable {
    package static var listKey: String { "tools" }
}

extension Prompt: MCPListable {
    package static var listKey: String { "prompts" }
}

extension Resource: MCPListable {
    package static var listKey: String { "resources" }
}

extension ResourceTemplate: MCPListable {
    package static var listKey: String { "resourceTemplates" }
}

/// A page of `tools/list`, `prompts/list`, `resources/list` or `resources/templates/list`.
package struct ListResult<Element: MCPListable>: Sendable {
    /// Entries of the page.
    package var elements: [Element]
    /// Opaque cursor of the next page. In 2026-07-28 an empty one is valid too.
    package var nextCursor: String?
    /// Lifetime and scope of the page in caches.
    package var cache: CacheHint
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes a page (Pagination).
    package init(
        _ elements: [Element], nextCursor: String? = nil, cache: CacheHint = .none, meta: JSONObject = [:]
    ) {
        self.elements = elements
        self.nextCursor = nextCursor
        self.cache = cache
        self.meta = meta
    }

    /// - Throws: ``MCPDecodingError`` naming the first entry that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            try reader.list(Element.listKey) { json, path throws(MCPDecodingError) in
                do throws(MCPDecodingError) {
                    return try Element(json: json)
                } catch {
                    throw MCPDecodingError("\(path): \(error.message)")
                }
            },
            nextCursor: try reader.optionalString("nextCursor"), cache: CacheHint(result: reader.object) ?? .none,
            meta: try reader.meta())
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [Element.listKey: .array(elements.map { $0.json(for: version) })]
        object.set("nextCursor", nextCursor)
        if !meta.isEmpty { object["_meta"] = .object(meta) }
        return .object(MCPResult.complete(object, for: version, cache: cache))
    }
}

/// Page of `tools/list`.
package typealias ListToolsResult = ListResult<ToolDefinition>
/// Page of `prompts/list`.
package typealias ListPromptsResult = ListResult<Prompt>
/// Page of `resources/list`.
package typealias ListResourcesResult = ListResult<Resource>
/// Page of `resources/templates/list`.
package typealias ListResourceTemplatesResult = ListResult<ResourceTemplate>
