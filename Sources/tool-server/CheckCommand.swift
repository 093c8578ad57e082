import ArgumentParser
import Foundation
import ToolServerCore

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract:
            "Check the configuration against the database: models, indexes and statements.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let configuration: ToolServerConfiguration
        do {
            configuration = try settings.load()
        } catch let complaint as ConfigurationCommandError {
            for line in complaint.explanation { ToolServerCommand.complain(line) }
            throw ExitCode.failure
        }
        let lines = try await closing(settings.buildForChecking(configuration), { await $0.shutdown() }) {
            try await $0.check()
        }
        for line in lines { print(line) }
    }
}

extension SettingsOptions {
    /// Builds a tool-server without creating anything: a missing database of the server's own is replaced by an empty
    /// one in memory.
    fileprivate func buildForChecking(_ configuration: ToolServerConfiguration) async throws -> ToolServer {
        guard case .file(let path) = configuration.internalDatabase, !FileManager.default.fileExists(atPath: path)
        else {
            return try await build(configuration, logger: ProcessLog.start(configuration).logger)
        }
        let external = try await configuration.openExternal()
        return try buildToolServer(
            configuration: configuration, external: external, logger: ProcessLog.start(configuration).logger)
    }
}
