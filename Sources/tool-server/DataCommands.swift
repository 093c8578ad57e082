import ArgumentParser
import Foundation
import Identity
import JSONConfiguration
import ToolServerCore

struct SeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed", abstract: "Load demo data. Running it again changes nothing.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let report = try await settings.withOwnStore(creating: true) { store, _ in
            try await store.seed(hasher: PasswordHasher())
        }
        for (table, rows) in report.inserted { print("added \(rows) rows to \(table)") }
        for (username, password) in report.created { print("created user \(username) with password \(password)") }
        if report.inserted.isEmpty, report.created.isEmpty { print("nothing to add") }
    }
}

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Manage accounts.",
        subcommands: [Add.self, Disable.self, Enable.self, Password.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Create an account. Without a password file a random password is printed.")

        @Argument(help: "User name.")
        var name: String

        @Option(help: "Name shown to others.")
        var alias = ""

        @Option(help: "File that holds the password; one trailing line end is dropped.")
        var passwordFile: String?

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let password = try NewPassword(file: passwordFile)
            let account = try await settings.withOwnStore(creating: true) { store, _ in
                let login = LoginService(accounts: store, sessions: store, hasher: PasswordHasher())
                return try await login.createAccount(username: name, alias: alias, password: password.text)
            }
            print("created user \(account.username)\(password.announcement)")
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable",
            abstract: "Disable a user: the user's sessions end, and the user's keys are refused.")

        @Argument(help: "User name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            try await settings.setActive(false, name)
            print("disabled user \(name)")
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Enable a disabled user. Sessions that were ended stay ended.")

        @Argument(help: "User name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            try await settings.setActive(true, name)
            print("enabled user \(name)")
        }
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "password",
            abstract:
                "Set a user's password; the user's sessions and grants end. Without a file a random password is printed."
        )

        @Argument(help: "User name.")
        var name: String

        @Option(help: "File that holds the password; one trailing line end is dropped.")
        var passwordFile: String?

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let password = try NewPassword(file: passwordFile)
            try await settings.withOwnStore { store, configuration in
                let account = try await configuration.account(named: name, in: store)
                let login = LoginService(accounts: store, sessions: store, hasher: PasswordHasher())
                try await login.changePassword(of: account, to: password.text)
                // Permissions that were given under the old password may not have come from the user.
                try await store.deleteOAuthGrants(userID: account.principal.id)
            }
            print("changed the password of user \(name)\(password.announcement)")
        }
    }
}

/// A new password from a file, or a random one that is printed.
private struct NewPassword {
    let text: String
    let announcement: String

    init(file: String?) throws {
        guard let file else {
            text = String(SessionToken().text.prefix(20))
            announcement = " with password \(text)"
            return
        }
        do {
            text = try SecretFile.read(file)
            announcement = ""
        } catch {
            throw CommandLineError("password file \(file): \(error)")
        }
    }
}

extension SettingsOptions {
    fileprivate func setActive(_ isActive: Bool, _ name: String) async throws {
        try await withOwnStore { store, configuration in
            try await store.setActive(isActive, accountID: configuration.account(named: name, in: store).id)
        }
    }
}
