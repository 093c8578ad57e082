package import JSON

/// What was posted to a scripted MCP server of the era of `initialize`, and answers to it.
package struct ScriptedMCPMessage: Sendable {
    package let json: JSONValue
    private let index: Int

    /// Nil for what is no JSON.
    package init?(_ request: ScriptedRequest) {
        guard let json = try? JSONValue(parsing: Array(request.body.readableBytesView)) else { return nil }
        self.json = json
        index = request.index
    }

    /// Nil for a notification.
    package var id: JSONValue? { json["id"] }
    package var method: String? { json["method"]?.string }

    package func result(_ result: JSONValue, headers: [(String, String)] = []) -> ScriptedResponse {
        .json(JSONValue.object(["jsonrpc": "2.0", "id": id ?? .null, "result": result]).text, headers: headers)
    }

    /// Opens a session; one that no other request has, unless it is named.
    package func opened(session: String? = nil) -> ScriptedResponse {
        result(
            [
                "protocolVersion": "2025-11-25", "capabilities": ["tools": [:]],
                "serverInfo": ["name": "scripted", "version": "1"],
            ], headers: [("Mcp-Session-Id", session ?? "session-\(index)")])
    }
}
