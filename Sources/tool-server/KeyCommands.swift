import ArgumentParser
import Foundation
import Identity
import JSONConfiguration
import Logging
import ToolServerCore

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Manage API keys.", subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an API key and print it. It cannot be shown again.")

        @Argument(help: "What the key is for; unique among the keys that are not revoked.")
        var name: String

        @Option(name: .customLong("scope"), help: "A scope that the key has; may be repeated.")
        var scopes: [String] = []

        @Option(help: "The user for whom the key acts; by default it acts for itself.")
        var user: String?

        @Option(help: "After which the key is worth nothing, such as 90d or 12h; by default never.")
        var expires: String?

        @OptionGroup var settings: SettingsOptions

        func validate() throws {
            if let expires, ConfigurationUnits.duration(expires) == nil {
                throw ValidationError("--expires: expected a duration such as 90d or 12h, found \(expires)")
            }
        }

        func run() async throws {
            let (_, text) = try await settings.withKeys(creating: user == nil) { keys, _ in
                try await keys.create(
                    name: name, scopes: scopes, user: user, lifetime: expires.flatMap(ConfigurationUnits.duration))
            }
            if try !settings.load().identity.contains(.apiKey) {
                // Not on standard output, which is the key and nothing else.
                FileHandle.standardError.write(
                    Data("note: toolServer.identity does not have apiKey, so the key is not accepted yet\n".utf8))
            }
            print(text.text)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the keys: name, state, beginning, scopes, user, made, expires, last used.")

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let now = Date()
            try await settings.withKeys { keys, directory in
                for key in try await keys.list() {
                    var user = key.userID ?? "-"
                    if let id = key.userID, let name = try await directory.name(ofUser: id) { user = name }
                    let fields = [
                        key.name, key.state(at: now).rawValue, key.hint + "…",
                        key.scopes.isEmpty ? "-" : key.scopes.joined(separator: " "), user,
                        key.createdAt.commandText, key.expiresAt?.commandText ?? "-",
                        key.lastUsedAt?.commandText ?? "-",
                    ]
                    print(fields.joined(separator: "\t"))
                }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "End a key at once.")

        @Argument(help: "The key's name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let name = name
            let isRevoked = try await settings.withKeys { keys, _ in try await keys.revoke(name: name) }
            guard isRevoked else { throw Complaint("no key named \"\(name)\" is left to revoke") }
            print("revoked key \(name)")
        }
    }
}

extension SettingsOptions {
    fileprivate func withKeys<Value>(
        creating: Bool = false, _ body: (APIKeyService, UserDirectory) async throws -> Value
    ) async throws -> Value {
        try await withOwnStore(creating: creating) { store, configuration in
            try await closing(configuration.openForeign(), { try await $0?.close() }) { foreign in
                let directory = configuration.userDirectory(store: store, foreign: foreign)
                return try await body(APIKeyService(keys: store, directory: directory), directory)
            }
        }
    }
}

extension Date {
    /// To the second, in UTC.
    var commandText: String { formatted(.iso8601) }
}
