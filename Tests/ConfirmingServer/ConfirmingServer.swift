import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import Observability
import ToolServerCore

/// The tool-server with one more tool, which changes something: `note` appends a line to the file that `NOTES` names.
/// Over HTTP on a free port, in memory; the AI provider comes from the environment.
@main
enum ConfirmingServer {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try ToolServerConfiguration(
            document: .object([:]), environment: environment,
            overrides: ["transport": "http", "port": 0, "database": ":memory:"])
        let output = LogOutput.standardError(level: .info)
        LoggingSystem.bootstrap { JSONLogHandler(label: $0, output: output) }
        let toolServer = try buildToolServer(
            configuration: configuration, logger: Logger(label: "confirming-server"))
        try toolServer.server.register(tool: NoteTool(file: environment["NOTES"] ?? "/dev/null"))
        try await toolServer.run(ToolServerProcess(log: output))
    }
}

struct NoteTool: Tool {
    let file: String

    var definition: ToolDefinition {
        ToolDefinition(
            name: "note", description: "Writes a note down.",
            inputSchema: [
                "type": "object", "properties": ["text": ["type": "string"]], "required": ["text"],
            ],
            annotations: ToolAnnotations(readOnlyHint: false, destructiveHint: false))
    }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        guard let notes = FileHandle(forWritingAtPath: file) else { return .error("cannot be written") }
        defer { try? notes.close() }
        try notes.seekToEnd()
        try notes.write(contentsOf: Data((arguments["text"]?.string ?? "").utf8 + [0x0A]))
        return .structured(["results": "noted"])
    }
}
