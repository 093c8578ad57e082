import ArgumentParser
import JSON
import JSONConfiguration
import ToolServerCore

/// The command `tool-server schema`: prints the keys of the section `toolServer`, for editors and for `gateway schema`.
struct ConfigurationSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of the configuration file's section toolServer.")

    func run() {
        print(ToolServerConfiguration.schema().prettyText)
    }
}
