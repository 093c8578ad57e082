package import JSON

/// Result of a tool (Tools, "Tool Result").
package struct CallToolResult: Hashable, Sendable {
    /// Content blocks for the model (Tools, "Tool Result").
    package var content: [ContentBlock]
    /// Structured content, from 2025-06-18; an object before 2026-07-28, any value since.
    package var structuredContent: JSONValue?
    /// True if the tool failed; the text is for the model to read.
    package var isError: Bool
    /// Members of `_meta`.
    package var meta: JSONObject

    /// Describes the result of a call (Tools, "Tool Result").
    package init(
        content: [ContentBlock], structuredContent: JSONValue? = nil, isError: Bool = false, meta: JSONObject = [:]
    ) {
        self.content = content
        self.structuredContent = structuredContent
        self.isError = isError
        self.meta = meta
    }

    /// Returns a result with one block of text.
    package static func text(_ text: String) -> CallToolResult {
        CallToolResult(content: [.text(text)])
    }

    /// Returns structured content, and the same JSON as text for clients that know only text (tools, structured
    /// content).
    package static func structured(_ value: JSONValue) -> CallToolResult {
        CallToolResult(content: [.text(value.text)], structuredContent: value)
    }

    /// Returns an error: `text` first, for the model.
    ///
    /// - Parameter status: HTTP status that a gateway may answer with (`_meta["dev.chatgateway/status"]`); ignored
    ///   unless ``mayDeclare(_:)`` allows it.
    package static func error(
        _ text: String, structured: JSONValue? = nil, status: Int? = nil
    ) -> CallToolResult {
        var meta: JSONObject = [:]
        if let status, mayDeclare(status) { meta[MCPMeta.status] = .number(status) }
        return CallToolResult(content: [.text(text)], structuredContent: structured, isError: true, meta: meta)
    }

    /// Reads the result of `tools/call`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        self.init(
            content: try reader.optionalList("content") { json, path throws(MCPDecodingError) in
                try ContentBlock(json, path)
            } ?? [],
            structuredContent: reader.object["structuredContent"],
            isError: try reader.optionalBool("isError") ?? false,
            meta: try reader.meta())
        // A missing `content` is accepted only where there is structured content.
        if reader.object["content"] == nil, structuredContent == nil { throw reader.failure("content", "array") }
    }

    /// Text blocks, joined by newlines.
    package var text: String {
        content.compactMap(\.text).joined(separator: "\n")
    }

    /// Declared HTTP status of an error, if ``mayDeclare(_:)`` allows it.
    package var status: Int? {
        guard let status = meta[MCPMeta.status]?.int, Self.mayDeclare(status) else { return nil }
        return status
    }

    /// Returns whether a tool may declare that HTTP status for its error: 4xx, or 503 for a temporary one. Any other
    /// 5xx would blame the upstream for an answer that it gave.
    package static func mayDeclare(_ status: Int) -> Bool { (400...499).contains(status) || status == 503 }

    /// Returns the result in a revision. Structured content that the revision cannot carry stays in the text.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [:]
        if version.era == .modern { object["resultType"] = .string(ResultType.complete.rawValue) }
        object["content"] = .array(content.map { $0.json(for: version) })
        if let structuredContent,
            version.hasAnyStructuredContent
                || (version.hasStructuredContent && structuredContent.kind == .object)
        {
            object["structuredContent"] = structuredContent
        }
        if isError { object["isError"] = true }
        if !meta.isEmpty { object["_meta"] = .object(meta) }
        return .object(object)
    }
}
