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
            commandName: "create", abstract: "Create an API key and print it. It cannot be printed again.")

        @Argument(help: "Name of the key; unique among the keys that are not revoked.")
        var name: String

        @Option(name: .customLong("scope"), help: "Scope of the key; may be repeated.")
        var scopes: [String] = []

        @Option(help: "User for whom the key acts; by default the key acts for itself.")
        var user: String?

        @Option(help: "Lifetime of the key, such as 90d or 12h; by default the key does not expire.")
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
                // Not on standard output, which contains only the key.
                FileHandle.standardError.write(
                    Data("note: toolServer.identity does not have apiKey, so the key is not accepted yet\n".utf8))
            }
            print(text.text)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the keys: name, state, beginning, scopes, user, created, expires, last used.")

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
            commandName: "revoke", abstract: "Revoke a key at once.")

        @Argument(help: "Name of the key.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let name = name
            let isRevoked = try await settings.withKeys { keys, _ in try await keys.revoke(name: name) }
            guard isRevoked else { throw CommandLineError("no key named \"\(name)\" is left to revoke") }
            print("revoked key \(name)")
        }
    }
}

extension SettingsOptions {
    fileprivate func withKeys<Value>(
        creating: Bool = false, _ body: (APIKeyService, UserDirectory) async throws -> Value
    ) async throws -> Value {
        try await withOwnStore(creating: creating) { store, configuration in
            try await closing(configuration.openExternal(), { try await $0?.close() }) { external in
                let directory = configuration.userDirectory(store: store, external: external)
                return try await body(APIKeyService(keys: store, directory: directory), directory)
            }
        }
    }
}

extension Date {
    /// Text of the time to the second, in UTC.
    var commandText: String { formatted(.iso8601) }
}
