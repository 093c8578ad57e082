import ArgumentParser
import Foundation
import JSON
import MCP
import MCPServer
import ToolServerCore

struct ToolsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools", abstract: "List the tools: name, arguments, annotations.")

    @Flag(help: "Print JSON, with the schemas.")
    var json = false

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let configuration = try settings.load()
        // The list depends on the database only where the configuration has models over external tables.
        let toolServer = try buildToolServer(
            configuration: configuration, external: await configuration.openExternal(),
            logger: ProcessLog.start(configuration).logger)
        let tools = toolServer.server.toolDefinitions(for: .allowedEverything)
        if json {
            print(JSONValue.array(tools.map { $0.json(for: .latestModern) }).prettyText)
        } else {
            for tool in tools { print(Self.line(tool)) }
        }
        await toolServer.shutdown()
    }

    private static func line(_ tool: ToolDefinition) -> String {
        let required = Set(tool.inputSchema["required"]?.array?.compactMap(\.string) ?? [])
        let arguments = (tool.inputSchema["properties"]?.object?.keys ?? []).map {
            required.contains($0) ? $0 : $0 + "?"
        }
        var hints: [String] = []
        if tool.annotations?.readOnlyHint == true { hints.append("read-only") }
        if tool.annotations?.idempotentHint == true { hints.append("idempotent") }
        if tool.annotations?.openWorldHint == true { hints.append("open-world") }
        let call = "\(tool.name)(\(arguments.joined(separator: ", ")))"
        return hints.isEmpty ? call : "\(call)  [\(hints.joined(separator: ", "))]"
    }
}

struct CallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a tool once, anonymously, and print its result.")

    @Argument(help: "Name of the tool.")
    var name: String

    @Argument(help: "Arguments, as a JSON object.")
    var arguments = "{}"

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        guard let arguments = (try? JSONValue(parsing: arguments))?.object else {
            throw CommandLineError("arguments: expected a JSON object")
        }
        let result = try await settings.withToolServer {
            try await $0.server.call(tool: name, arguments: arguments, principal: nil)
        }
        guard !result.isError else { throw CommandLineError("\(name): \(result.text)") }
        print(result.structuredContent?.text ?? result.text)
    }
}
