import ArgumentParser
import Configuration
import Foundation
import ToolServerCore

struct SeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed", abstract: "Load demo data. Running it again changes nothing.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let configuration = try settings.load()
        let store = try configuration.openOwn()
        let report = try await store.seed(hasher: PasswordHasher())
        for (table, rows) in report.inserted { print("added \(rows) rows to \(table)") }
        for (username, password) in report.created { print("created user \(username) with password \(password)") }
        if report.inserted.isEmpty, report.created.isEmpty { print("nothing to add") }
        try await store.close()
    }
}

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Manage accounts.", subcommands: [Add.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Create an account. Without a password file a random password is printed.")

        @Argument(help: "The user name.")
        var name: String

        @Option(help: "Name shown to others.")
        var alias = ""

        @Option(help: "A file that holds the password; one trailing line end is dropped.")
        var passwordFile: String?

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let configuration = try settings.load()
            let password: String
            if let passwordFile {
                do {
                    password = try SecretFile.read(passwordFile)
                } catch {
                    throw Complaint("password file \(passwordFile): \(error)")
                }
            } else {
                password = String(SessionToken().text.prefix(20))
            }
            let store = try configuration.openOwn()
            let login = LoginService(accounts: store, sessions: store, hasher: PasswordHasher())
            let account = try await login.createAccount(username: name, alias: alias, password: password)
            print("created user \(account.username)" + (passwordFile == nil ? " with password \(password)" : ""))
            try await store.close()
        }
    }
}

struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Manage login sessions.", subcommands: [New.self])

    struct New: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new", abstract: "Open a login session and print the value of its sessionid cookie.")

        @Argument(help: "The user name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let configuration = try settings.load()
            let store = try configuration.openOwn()
            let login = LoginService(
                accounts: store, sessions: store, hasher: PasswordHasher(),
                lifetime: configuration.login.lifetime)
            guard let account = try await store.account(named: name), account.isActive else {
                throw Complaint("no active user named \"\(name)\" in \(configuration.ownDatabase)")
            }
            print(try await login.openSession(for: account).text)
            try await store.close()
        }
    }
}

extension ToolServerConfiguration {
    /// Our own tables, for a command that puts something into them.
    fileprivate func openOwn() throws -> SQLiteStore {
        if stateDatabase == .memory {
            throw Complaint("toolServer.stateDatabase: expected a path for data to be kept, found :memory:")
        }
        return try SQLiteStore(at: ownDatabase)
    }
}
