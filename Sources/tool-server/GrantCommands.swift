import ArgumentParser
import Foundation
import Store
import ToolServerCore

struct GrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Manage what users allowed OAuth clients.",
        subcommands: [List.self, Revoke.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the grants: id, user, client, scopes, allowed, last used, expires.")

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            try await settings.withOwnStore { store, configuration in
                try await closing(configuration.openExternal(), { try await $0?.close() }) { external in
                    let directory = configuration.userDirectory(store: store, external: external)
                    for grant in try await store.oauthGrants(userID: nil) {
                        let user = try await directory.name(ofUser: grant.userID) ?? grant.userID
                        let fields = [
                            grant.id, user, grant.clientID,
                            grant.scopes.isEmpty ? "-" : grant.scopes.joined(separator: " "),
                            grant.createdAt.commandText, grant.usedAt.commandText, grant.expiresAt.commandText,
                        ]
                        print(fields.joined(separator: "\t"))
                    }
                }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke",
            abstract: "End grants. Their refresh tokens end at once, access tokens within their lifetime.")

        @Argument(help: "The grants' ids, as list prints them.")
        var ids: [String]

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let ids = ids
            try await settings.withOwnStore { store, _ in
                for id in ids {
                    guard try await store.deleteOAuthGrant(id: id, userID: nil) else {
                        throw CommandLineError("no grant \"\(id)\"")
                    }
                    print("revoked grant \(id)")
                }
            }
        }
    }
}
