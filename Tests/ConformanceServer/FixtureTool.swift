import JSON
import MCP
import MCPServer

/// A tool of the fixture: a definition, the revisions that have it, and what it does.
struct FixtureTool: Tool {
    let definition: ToolDefinition
    let versions: ClosedRange<MCPVersion>
    let body: @Sendable (JSONObject, ToolContext) async throws -> CallToolResult

    static let legacy = MCPVersion.v2024_11_05...MCPVersion.latestLegacy
    static let modern = MCPVersion.latestModern...MCPVersion.latestModern

    init(
        _ name: String, _ description: String, input: JSONValue = ToolDefinition.emptyInputSchema,
        in versions: ClosedRange<MCPVersion> = MCPVersion.v2024_11_05...MCPVersion.latestModern,
        body: @escaping @Sendable (JSONObject, ToolContext) async throws -> CallToolResult
    ) {
        definition = ToolDefinition(name: name, description: description, inputSchema: input)
        self.versions = versions
        self.body = body
    }

    func isAvailable(in version: MCPVersion) -> Bool { versions.contains(version) }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        try await body(arguments, context)
    }

    /// An input schema with one required string.
    static func string(_ name: String) -> JSONValue {
        ["type": "object", "properties": [name: ["type": "string"]], "required": [.string(name)]]
    }
}

enum FixtureData {
    /// One red pixel.
    static let png =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
    /// A header and no samples.
    static let wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="
}
