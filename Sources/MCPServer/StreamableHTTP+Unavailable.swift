import JSON
import MCP

extension StreamableHTTP {
    /// The answer to a tool call whose caller cannot be told at the moment: the tool's error, declared as 503.
    ///
    /// It is a result and no transport error, so a gateway takes the server for what it is, alive, and knows that the
    /// same call may succeed soon.
    ///
    /// - Parameter text: Why, for people.
    /// - Returns: nil for everything that is no tool call: the transport's own 503 suits that.
    package func unavailable(_ request: MCPHTTPRequest, _ text: String) -> MCPHTTPResponse? {
        guard request.method == "POST", let value = try? JSONValue(parsing: request.body), let object = value.object,
            case .request(let call)? = try? JSONRPCMessage(value), call.method == MCPMethod.toolsCall
        else { return nil }
        let version: MCPVersion =
            Self.era(of: object, headers: request.headers) == .modern ? .latestModern : .latestLegacy
        let result = CallToolResult.error(text, status: 503).json(for: version).object ?? [:]
        let complete = MCPResult.complete(result, for: version, serverInfo: server.info)
        return Self.deliver(Envelope.result(call.id, complete), Self.form(of: request.headers))
    }
}
