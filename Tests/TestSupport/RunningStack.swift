import Foundation
import Glibc
import Synchronization
package import Testing

/// Both products on free ports, on demo data of their own.
package final class RunningStack: Sendable {
    /// The stack of the suite that runs; see the trait `.stack`.
    @TaskLocal private static var scoped: RunningStack?

    /// The stack of the suite that runs.
    package static var current: RunningStack {
        get throws {
            guard let scoped else { throw ProcessError("the suite has no .stack trait") }
            return scoped
        }
    }

    package let directory: TemporaryDirectory
    /// The path of the database.
    package let database: String
    package let gateway: RunningService
    private let tools: Mutex<RunningService>
    private let sessions = Mutex<[String: String]>([:])

    package var toolServer: RunningService { tools.withLock { $0 } }

    /// The endpoint that the gateway calls.
    package var upstream: String { toolServer.url + "/mcp/" }

    private init(
        directory: TemporaryDirectory, database: String, toolServer: RunningService, gateway: RunningService
    ) {
        self.directory = directory
        self.database = database
        self.gateway = gateway
        tools = Mutex(toolServer)
    }

    /// Seeds a database, starts both processes and waits until both are ready.
    package static func start(
        toolServerEnvironment: [String: String] = [:], gatewayEnvironment: [String: String] = [:]
    ) async throws -> RunningStack {
        let directory = try TemporaryDirectory("stack")
        let database = directory.path("chat.sqlite")
        try await DemoDatabase.shared.copy(to: database)
        let toolServer = try await RunningService.toolServer(database: database, environment: toolServerEnvironment)
        try await toolServer.ready()
        let gateway = try await RunningService.gateway(
            upstream: toolServer.url + "/mcp/", environment: gatewayEnvironment)
        try await gateway.ready()
        return RunningStack(directory: directory, database: database, toolServer: toolServer, gateway: gateway)
    }

    /// Stops both; each must exit with 0.
    package func stop() async throws {
        try await gateway.stop()
        if toolServer.process.exit == nil { try await toolServer.stop() }
    }

    /// Runs `body` on a stack of its own.
    package static func with(
        toolServerEnvironment: [String: String] = [:], gatewayEnvironment: [String: String] = [:],
        _ body: (RunningStack) async throws -> Void
    ) async throws {
        let stack = try await start(
            toolServerEnvironment: toolServerEnvironment, gatewayEnvironment: gatewayEnvironment)
        do {
            try await $scoped.withValue(stack) { try await body(stack) }
        } catch {
            print(stack.log)
            try? await stack.stop()
            throw error
        }
        try await stack.stop()
    }

    /// Starts the tool-server again on the port and the database it had.
    package func startToolServer(environment: [String: String] = [:]) async throws {
        let next = try await RunningService.toolServer(
            database: database, port: toolServer.port, environment: environment)
        try await next.ready()
        tools.withLock { $0 = next }
    }

    /// The logs of both processes, for the message of a failure.
    package var log: String { toolServer.process.log + gateway.process.log }

    // MARK: - Accounts

    /// A login of a user that exists, the same one each time.
    ///
    /// - Returns: the value of the cookie `sessionid`.
    package func session(of user: String) async throws -> String {
        if let known = sessions.withLock({ $0[user] }) { return known }
        let cookie = try await DemoDatabase.session(of: user, in: database)
        sessions.withLock { $0[user] = cookie }
        return cookie
    }

    /// Makes a user.
    package func addUser(_ name: String, alias: String? = nil, password: String) async throws {
        let file = try directory.write(password + "\n", to: "password-\(name)")
        let alias = alias.map { ["--alias", $0] } ?? []
        _ = try await DemoDatabase.command(
            ["user", "add", name] + alias + ["--password-file", file, "--database", database])
    }
}

/// The demo data, made once by `tool-server seed` and copied for each stack.
package actor DemoDatabase {
    package static let shared = DemoDatabase()

    private var made: Task<TemporaryDirectory, any Error>?

    /// Copies the demo data to `path`.
    package func copy(to path: String) async throws {
        // One task for everybody: callers arrive while the first one still seeds.
        let task = made ?? Task { try await Self.seed() }
        made = task
        let demo = try await task.value.path("demo.sqlite")
        try FileManager.default.copyItem(atPath: demo, toPath: path)
        // What the seeding process has not moved into the database yet.
        if FileManager.default.fileExists(atPath: demo + "-wal") {
            try FileManager.default.copyItem(atPath: demo + "-wal", toPath: path + "-wal")
        }
    }

    /// Logs a user in.
    ///
    /// - Parameter database: The path of a copy.
    /// - Returns: the value of the cookie `sessionid`.
    package static func session(of user: String, in database: String) async throws -> String {
        try await command(["session", "new", user, "--database", database])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs a command of the tool-server; returns what it printed.
    fileprivate static func command(
        _ arguments: [String], within limit: Duration = .seconds(30)
    ) async throws -> String {
        let finished = try await ChildProcess.run(.init(BuiltProduct.toolServer.path, arguments), within: limit)
        guard finished.succeeded else {
            throw ProcessError("tool-server \(arguments.joined(separator: " ")): \(finished.exit)\n\(finished.error)")
        }
        return finished.output
    }

    /// What to remove when the tests end: a static value is never released.
    private static let leftover = Mutex<String?>(nil)

    private static func seed() async throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory("demo")
        leftover.withLock { $0 = directory.url.path }
        atexit { DemoDatabase.leftover.withLock { $0.map { try? FileManager.default.removeItem(atPath: $0) } } }
        _ = try await command(["seed", "--database", directory.path("demo.sqlite")], within: .seconds(60))
        return directory
    }
}

/// Gives a suite one stack for all its tests: started before the first, stopped (and its exit checked) after the last.
package struct StackTrait: SuiteTrait, TestScoping {
    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await RunningStack.with { _ in try await function() }
    }
}

extension Trait where Self == StackTrait {
    /// See `StackTrait`.
    package static var stack: Self { Self() }
}
