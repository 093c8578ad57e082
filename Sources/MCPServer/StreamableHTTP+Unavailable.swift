import JSON
import MCP

extension StreamableHTTP {
    /// Returns the response to a tool call whose caller cannot be authenticated at the moment: a tool error, declared
    /// as 503.
    ///
    /// It is a result and not a transport error, so that a gateway considers the server alive, and knows that the same
    /// call may succeed soon.
    ///
    /// - Parameter text: Reason, for people.
    /// - Returns: Nil for everything but a tool call: the transport's own 503 suits that.
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
