package import JSON
package import MCP

/// A function that a model may call.
package protocol Tool: Sendable {
    /// Read once, at registration.
    var definition: ToolDefinition { get throws }
    /// Whether that caller may see and call the tool; to others it is unknown.
    func isVisible(to principal: Principal?) -> Bool
    /// Whether the tool exists for callers that speak that revision.
    func isAvailable(in version: MCPVersion) -> Bool
    /// Runs the tool. `arguments` obey the input schema. The task is cancelled when the caller cancels the call.
    ///
    /// A thrown ``ToolError`` becomes a result with `isError`; a `JSONRPCError` is answered as it is; whatever else is
    /// logged and becomes "Internal error".
    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult
}

extension Tool {
    package func isVisible(to principal: Principal?) -> Bool { true }
    package func isAvailable(in version: MCPVersion) -> Bool { true }
}

/// A failure that the caller, often a model, should read: a result with `isError: true`.
package struct ToolError: Error, Hashable, CustomStringConvertible {
    /// Text for the caller.
    package let text: String
    /// Comes as `structuredContent`.
    package let structured: JSONObject?
    /// HTTP status that suits the failure: 4xx, or 503 for "not now, try again"; comes in
    /// `_meta["dev.chatgateway/status"]`.
    package let status: Int?

    /// Describes a failure that the caller is told of.
    package init(_ text: String, structured: JSONObject? = nil, status: Int? = nil) {
        self.text = text
        self.structured = structured
        self.status = status
    }

    package var description: String { text }
}

/// Why ``MCPServer/call(tool:arguments:principal:version:traceparent:onProgress:)`` did not run a tool.
package enum ToolCallRefusal: Error, Hashable, CustomStringConvertible {
    /// No such tool, or not for this caller.
    case unknownTool(String)
    /// What is wrong with the arguments, one text a violation, each naming its field.
    case invalidArguments([String])

    package var description: String {
        switch self {
        case .unknownTool(let name): "Unknown tool: \(name)"
        case .invalidArguments(let violations): "Invalid arguments: " + violations.joined(separator: "; ")
        }
    }
}
