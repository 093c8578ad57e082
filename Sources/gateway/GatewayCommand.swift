import ArgumentParser
import CBuildCommit
import Foundation
import GatewayCore
import JSON
import ServiceRuntime

/// The command `gateway`: see `gateway --help`.
@main
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Turns chat payloads into MCP tool calls.",
        version: build.text(GatewayVersion.name),
        subcommands: [
            ServeCommand.self, InitCommand.self, CheckCommand.self, SchemaCommand.self, RoutesCommand.self,
            ToolsCommand.self, PinCommand.self, ImportCommand.self,
        ],
        defaultSubcommand: ServeCommand.self)

    static let build = BuildVersion(commit: String(cString: build_commit()))

    /// Runs the command. An error is one line on standard error and exit code 1; wrong usage is exit code 2.
    static func main() async {
        StandardDescriptors.complete()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            finish(error)
        }
    }

    private static func finish(_ error: any Error) -> Never {
        let code = exitCode(for: error)
        switch code {
        case .success:
            print(fullMessage(for: error))
            Foundation.exit(EXIT_SUCCESS)
        case .validationFailure:
            write(fullMessage(for: error))
            Foundation.exit(2)
        default:
            // A bare exit code has been explained already.
            if !(error is ExitCode) { write("gateway: \(error)") }
            Foundation.exit(code.rawValue)
        }
    }

    static func write(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}

/// Option with the path of the configuration.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: "The configuration file (default: gateway.json, else /etc/chat-gateway/gateway.json).")
    var path: String?

    func file(_ overrides: [String: JSONValue] = [:]) -> GatewayConfigurationFile {
        GatewayConfigurationFile(path: path, overrides: overrides)
    }
}

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", abstract: "Serves until a signal ends it.")

    @OptionGroup var file: ConfigurationOption

    @Option(help: "Address on which the gateway accepts clients: HOST:PORT or unix:/path. Port 0 takes a free one.")
    var listen: String?

    @Option(help: "Address of the admin listener with health and metrics: HOST:PORT, unix:/path or off.")
    var admin: String?

    @Option(help: "The URL of the upstream named \"tools\".")
    var upstream: String?

    @Option(help: "Number of worker threads. 0: one for each core that the process may use.")
    var workers: Int?

    func run() async throws {
        var overrides: [String: JSONValue] = [:]
        if let listen { overrides["listen"] = .string(listen) }
        if let admin { overrides["admin"] = .string(admin) }
        if let upstream { overrides["upstreams.tools.url"] = .string(upstream) }
        if let workers { overrides["workers"] = .number(workers) }
        try await GatewayProcess.serve(file.file(overrides), build: GatewayCommand.build)
    }
}

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validates the configuration, and compares it with the live tools of upstreams that are up.")

    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let file = file.file()
        let configuration: GatewayConfiguration
        do {
            configuration = try file.load()
        } catch let failure as GatewayConfigurationFile.LoadError {
            // A person edits the file: print more than the single line of the other commands.
            for line in failure.explanation { GatewayCommand.write(line) }
            throw ExitCode.failure
        }
        print("\(file.path): valid, \(configuration.chat.types.count.of("type"))")
        let check = await GatewayReport.check(configuration)
        for line in check.lines { print(line) }
        if !check.isGood { throw ExitCode.failure }
    }
}

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Prints the JSON Schema of the configuration file.",
        discussion: "With the executable tool-server beside this one, also of the section that it reads.")

    func run() {
        print(GatewayConfiguration.schema(toolServer: ToolServerSchema.read()).prettyText)
    }
}

struct RoutesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes", abstract: "Prints each type with its tool, arguments, timeout and upstream.")

    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try file.file().load()
        let catalogs = await GatewayReport.catalogs(configuration)
        for line in GatewayReport.routes(configuration, catalogs: catalogs) { print(line) }
    }
}
