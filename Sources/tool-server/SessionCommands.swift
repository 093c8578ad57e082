import ArgumentParser
import Foundation
import Identity
import Store
import ToolServerCore

struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Manage login sessions.", subcommands: [New.self, List.self, Revoke.self])

    struct New: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new", abstract: "Open a login session and print the value of its sessionid cookie.")

        @Argument(help: "User name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let token = try await settings.withOwnStore { store, configuration in
                let login = LoginService(
                    accounts: store, sessions: store, hasher: PasswordHasher(),
                    lifetime: configuration.login.lifetime)
                guard let account = try await store.account(named: name), account.isActive else {
                    throw CommandLineError("no active user named \"\(name)\" in \(configuration.internalDatabase)")
                }
                return try await login.openSession(for: account)
            }
            print(token.text)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List a user's login sessions: id, opened, expires.")

        @Argument(help: "User name.")
        var name: String

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let sessions = try await settings.withOwnStore { store, configuration in
                let account = try await configuration.account(named: name, in: store)
                return try await store.loginSessions(accountID: account.id, now: Date())
            }
            for session in sessions {
                print("\(session.shortID)\t\(session.createdAt.commandText)\t\(session.expiresAt.commandText)")
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "End some or all of a user's login sessions at once.")

        @Argument(help: "User name.")
        var name: String

        @Argument(help: "Ids of the sessions, as list prints them.")
        var ids: [String] = []

        @Flag(help: "End all of the user's sessions.")
        var all = false

        @OptionGroup var settings: SettingsOptions

        func validate() throws {
            guard all == ids.isEmpty else { throw ValidationError("expected either ids or --all") }
        }

        func run() async throws {
            let revoked = try await settings.withOwnStore { store, configuration in
                let account = try await configuration.account(named: name, in: store)
                guard !all else { return try await store.deleteLoginSessions(accountID: account.id) }
                let sessions = try await store.loginSessions(accountID: account.id, now: Date())
                let found = try ids.map { id in
                    guard let session = sessions.first(where: { $0.shortID == id.lowercased() }) else {
                        throw CommandLineError("\(name) has no session \"\(id)\"")
                    }
                    return session
                }
                for session in found { try await store.deleteLoginSession(digest: session.digest) }
                return found.count
            }
            print("revoked \(revoked == 1 ? "1 session" : "\(revoked) sessions") of \(name)")
        }
    }
}

extension LoginSession {
    /// Identifier that distinguishes a user's sessions, and cannot be used to log in.
    fileprivate var shortID: String {
        digest.prefix(6).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
