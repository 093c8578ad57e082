import ArgumentParser
import CBuildCommit
import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import Observability
import ServiceRuntime
import ToolServerCore

@main
struct ToolServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tool-server", abstract: "An MCP server with the company's records, accounts and AI.",
        version: build.text(ToolServer.implementation.name),
        subcommands: [
            ServeCommand.self, SeedCommand.self, UserCommand.self, SessionCommand.self, ToolsCommand.self,
            CallCommand.self, CheckCommand.self, DocumentsCommand.self, KeyCommand.self, GrantCommand.self,
            IndexCommand.self,
            ExportCommand.self, DeleteCommand.self, ConfigurationSchemaCommand.self,
        ],
        defaultSubcommand: ServeCommand.self)

    static let build = BuildVersion(commit: String(cString: build_commit()))

    static func main() async {
        StandardDescriptors.complete()
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(explaining: error)
        }
    }

    /// Ends the process: help and version are printed on standard output with code 0; wrong usage gives code 2, any
    /// other error one line and code 1.
    private static func exit(explaining error: any Error) -> Never {
        switch exitCode(for: error) {
        case .success:
            print(fullMessage(for: error))
            Foundation.exit(0)
        case .validationFailure:
            complain(fullMessage(for: error))
            Foundation.exit(2)
        case let code:
            if !(error is ExitCode) { complain("tool-server: " + oneLine(error)) }
            Foundation.exit(code.rawValue == 0 ? 0 : 1)
        }
    }

    private static func oneLine(_ error: any Error) -> String {
        "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    static func complain(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

/// Options that override the settings of the file and the environment.
struct SettingsOptions: ParsableArguments {
    @Option(help: "Configuration file; the section toolServer is read.")
    var config: String?

    @Option(help: "Database: a path, sqlite:PATH, :memory: or postgres://USER@HOST/NAME.")
    var database: String?

    @Sendable
    func load(_ overrides: [String: JSONValue] = [:]) throws -> ToolServerConfiguration {
        var overrides = overrides
        if let database { overrides["database"] = .string(database) }
        let document: ConfigurationDocument?
        do {
            document = try config.map { path throws(ConfigurationDocument.ReadError) in
                try ConfigurationDocument(reading: path)
            }
        } catch {
            let problem = ConfigurationProblem(text: error.description, advice: error.advice)
            throw ConfigurationCommandError(file: config, problems: [problem])
        }
        do {
            return try ToolServerConfiguration(
                document: document?.value ?? .object([:]), environment: ProcessInfo.processInfo.environment,
                overrides: overrides)
        } catch {
            let schema: JSONValue = ["properties": ["toolServer": ToolServerConfiguration.schema()]]
            let problems =
                document.map { error.problems(in: $0, schema: schema) }
                ?? error.errors.map { ConfigurationProblem(text: $0.description) }
            throw ConfigurationCommandError(file: config, problems: problems)
        }
    }

    /// Builds a tool-server on the configured store.
    func build(
        _ configuration: ToolServerConfiguration, logger: Logger, waiting: Bool = false
    ) async throws -> ToolServer {
        // The external database first: when its schema does not fit, the server's own tables are not created.
        let external = try await configuration.openExternal(waiting: waiting)
        return try buildToolServer(
            configuration: configuration, store: await configuration.openStore(waiting: waiting), external: external,
            logger: logger, build: ToolServerCommand.build)
    }
}

/// Error for settings that cannot be used: one line for every command, more for `check`.
struct ConfigurationCommandError: Error, CustomStringConvertible {
    /// Path of the configuration file; nil: the environment and the command line alone.
    let file: String?
    let problems: [ConfigurationProblem]

    private var place: String { file.map { "configuration \($0)" } ?? "configuration" }

    var description: String { "\(place): \(problems.map(\.text).joined(separator: "; "))" }

    /// Lines about every problem: its place, an example and the meaning of the key.
    var explanation: [String] { problems.flatMap { $0.lines(path: place) } }
}

/// An error whose description is the whole message.
struct CommandLineError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Logging of the process: JSON lines on standard error.
enum ProcessLog {
    static func start(_ configuration: ToolServerConfiguration) -> (logger: Logger, output: LogOutput) {
        let output = LogOutput.standardError(level: configuration.logLevel)
        for secret in configuration.ai?.secrets ?? [] { output.redact(secret) }
        for secret in configuration.tracing?.secrets ?? [] { output.redact(secret) }
        for secret in configuration.django.secrets { output.redact(secret) }
        for secret in configuration.oauth?.secrets ?? [] { output.redact(secret) }
        for secret in [configuration.trustedHeader.secret, configuration.access.stdioKey] {
            if let secret { output.redact(secret.value) }
        }
        for secret in configuration.databaseSecrets { output.redact(secret) }
        LoggingSystem.bootstrap { JSONLogHandler(label: $0, output: output) }
        return (Logger(label: "tool-server"), output)
    }
}
