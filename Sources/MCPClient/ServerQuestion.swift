import JSON
import MCP

/// Questions that a client without handlers answers by itself.
enum ServerQuestion {
    /// Returns the answer to a request of the server: empty for a `ping`, a decline for an elicitation, and an unknown
    /// method for everything that was not declared.
    ///
    /// - Parameter hasUser: True if the client has a user, who shares no roots and no model.
    static func answer(to method: String, hasUser: Bool = false) -> Result<JSONValue, JSONRPCError> {
        switch method {
        case MCPMethod.ping: .success([:])
        case MCPMethod.elicitationCreate: .success(ElicitResult(action: .decline).json)
        case MCPMethod.rootsList where hasUser: .success(["roots": []])
        case MCPMethod.samplingCreateMessage where hasUser:
            .failure(JSONRPCError(code: -1, message: "User rejected sampling request"))
        default: .failure(.methodNotFound(method))
        }
    }
}
