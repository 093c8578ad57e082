import ArgumentParser
import Foundation
import ToolServerCore

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract:
            "Print the stored data of one user as JSON: account, sessions, keys (without secrets), grants, messages.")

    @Argument(help: "User name.")
    var name: String

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        try await settings.withSubject(name) { data, subject in
            try await data.export(subject) { try FileHandle.standardOutput.write(contentsOf: Data($0.utf8)) }
        }
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove one user's account, sessions, keys, grants and messages for good.")

    @Argument(help: "User name.")
    var name: String

    @Flag(help: "Confirm the removal.")
    var yes = false

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        guard yes else {
            throw CommandLineError("nothing removed: add --yes to remove the data of \"\(name)\" for good")
        }
        try await settings.withSubject(name) { data, subject in
            let deleted = try await data.delete(subject)
            print(
                "removed user \(subject.username): \(deleted.sessions) sessions, \(deleted.keys) keys, "
                    + "\(deleted.grants) grants, \(deleted.messages) messages")
        }
    }
}

extension SettingsOptions {
    fileprivate func withSubject(
        _ name: String, _ body: (PersonalData, PersonalData.Subject) async throws -> Void
    ) async throws {
        let configuration = try load()
        try configuration.requireOwnDatabase()
        try await withToolServer(configuration) { toolServer in
            guard let subject = try await toolServer.personalData.subject(named: name) else {
                throw CommandLineError("no user named \"\(name)\"")
            }
            try await body(toolServer.personalData, subject)
        }
    }
}
