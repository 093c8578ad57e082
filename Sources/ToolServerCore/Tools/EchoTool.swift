import JSON
import JSONSchema
import MCP
import MCPServer

/// Tool `echo`: returns its argument, for testing a connection.
struct EchoTool: TypedTool {
    struct Arguments: Decodable, Sendable, JSONSchemaDocumented {
        let message: String

        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "message": "Any text."
        ]
    }

    struct Output: Codable, Sendable {
        let echo: String

        enum CodingKeys: String, CodingKey {
            case echo = "Echo"
        }
    }

    static let name = "echo"
    static let title = "Echo"
    static let description = "Returns the given message unchanged. Use it to test the connection."
    static let annotations = ToolAnnotations.lookUp

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Output {
        Output(echo: arguments.message)
    }
}

extension ToolAnnotations {
    /// Annotations of a tool that reads the server's own data and changes nothing.
    static let lookUp = ToolAnnotations(
        readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false)
}

/// Structured result of every tool but `echo`: its value under `results`.
struct Results<Value: Codable & Sendable>: Codable, Sendable {
    let results: Value

    init(_ results: Value) {
        self.results = results
    }
}
