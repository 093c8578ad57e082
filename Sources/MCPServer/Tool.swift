package import JSON
package import MCP

/// A function that a model may call.
package protocol Tool: Sendable {
    /// Definition of the tool; read once, at registration.
    var definition: ToolDefinition { get throws }
    /// Returns whether that caller may see and call the tool; to others it is unknown.
    func isVisible(to principal: Principal?) -> Bool
    /// Returns whether the tool exists for callers that speak that revision.
    func isAvailable(in version: MCPVersion) -> Bool
    /// Runs the tool. `arguments` are valid under the input schema. The task is cancelled when the caller cancels the
    /// call.
    ///
    /// A thrown ``ToolError`` becomes a result with `isError`; a `JSONRPCError` is returned unchanged; any other error
    /// is logged and becomes "Internal error".
    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult
}

extension Tool {
    package func isVisible(to principal: Principal?) -> Bool { true }
    package func isAvailable(in version: MCPVersion) -> Bool { true }
}

/// An error for the caller, often a model: a result with `isError: true`.
package struct ToolError: Error, Hashable, CustomStringConvertible {
    /// Text for the caller.
    package let text: String
    /// Content of `structuredContent`.
    package let structured: JSONObject?
    /// HTTP status that suits the error: 4xx, or 503 for a temporary one; it is sent in
    /// `_meta["dev.chatgateway/status"]`.
    package let status: Int?

    /// Creates an error for the caller.
    package init(_ text: String, structured: JSONObject? = nil, status: Int? = nil) {
        self.text = text
        self.structured = structured
        self.status = status
    }

    package var description: String { text }
}

/// Reason why ``MCPServer/call(tool:arguments:principal:version:traceparent:onProgress:)`` did not run a tool.
package enum ToolCallError: Error, Hashable, CustomStringConvertible {
    /// The tool does not exist, or not for this caller.
    case unknownTool(String)
    /// The arguments are invalid: one text for each violation, which names its field.
    case invalidArguments([String])

    package var description: String {
        switch self {
        case .unknownTool(let name): "Unknown tool: \(name)"
        case .invalidArguments(let violations): "Invalid arguments: " + violations.joined(separator: "; ")
        }
    }
}
