import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import TestSupport
import Testing

@testable import PostgreSQLStore
@testable import Store
@testable import ToolServerCore

/// A server of their own, which is stopped, killed and started.
@Suite(.serialized) struct PostgreSQLRecoveryTests {
    private actor Restartable {
        static let instance = Restartable()
        private var made: PostgreSQLServer?

        /// The server, running.
        func running() async throws -> PostgreSQLServer {
            if let made { return made }
            let server = try await PostgreSQLServer()
            try await server.start()
            made = server
            return server
        }
    }

    private func isAnswered(_ store: PostgreSQLStore) async -> Bool {
        await eventually(within: .seconds(30), every: .milliseconds(50)) {
            (try? await store.checkHealth()) != nil
        }
    }

    @Test func aRestartOfTheServerIsSurvived() async throws {
        let server = try await Restartable.instance.running()
        let store = try await PostgreSQLStore(
            at: PostgreSQLLocation(parsing: await server.urlOfNewSchema()), settings: .test)
        _ = try await store.insertAccount(username: "ada", alias: "", passwordHash: "x", at: Date())
        try await server.stop()
        for _ in 0..<3 {
            let error = await #expect(throws: StoreError.self) { try await store.account(named: "ada") }
            #expect(error?.kind == .unavailable)
        }
        await #expect(throws: StoreError.self) { try await store.checkHealth() }
        try await server.start()
        #expect(await isAnswered(store))
        #expect(try await store.account(named: "ada")?.username == "ada")
    }

    @Test func aCrashInTheMiddleOfAWriteLeavesNothingOfIt() async throws {
        let server = try await Restartable.instance.running()
        let store = try await PostgreSQLStore(
            at: PostgreSQLLocation(parsing: await server.urlOfNewSchema()), settings: .test)
        let writing = Task {
            try await store.write { connection in
                try connection.execute("INSERT INTO project (name) VALUES ('half')")
                try connection.execute("SELECT pg_sleep(63)")
            }
        }
        var process: Int32?
        await eventually {
            let found = try? await server.sql(
                "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(63)'")
            process = found.flatMap { Int32($0) }
            return process != nil
        }
        // The server ends all sessions and recovers when one of its processes dies so.
        let checkpointer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        let before = try await server.sql(checkpointer)
        kill(try #require(process), SIGKILL)
        let error = await #expect(throws: StoreError.self) { try await writing.value }
        #expect(error?.kind == .unavailable)
        // Until it has noticed, other sessions are still answered.
        await eventually {
            let now = try? await server.sql(checkpointer)
            return now != nil && now != before
        }
        #expect(await isAnswered(store))
        #expect(try await store.column("SELECT name FROM project").isEmpty)
        try await store.insert(projects: [("whole", "")])
        #expect(try await store.column("SELECT name FROM project") == ["whole"])
    }

    @Test func aStoreThatMayWaitStartsWithoutItsDatabase() async throws {
        let server = try await Restartable.instance.running()
        let location = try PostgreSQLLocation(parsing: await server.urlOfNewSchema())
        try await server.stop()
        let refused = await #expect(throws: StoreError.self) {
            try await PostgreSQLStore(at: location, settings: .test)
        }
        #expect(refused?.description.hasPrefix("cannot open database postgres://") == true)
        let store = try await PostgreSQLStore(at: location, settings: .test, waiting: true)
        let error = await #expect(throws: StoreError.self) {
            try await store.search(model: "projects", query: "a", columns: .all, limit: 5)
        }
        #expect(error?.kind == .unavailable)
        try await server.start()
        #expect(await isAnswered(store))
        #expect(try await store.search(model: "projects", query: "a", columns: .all, limit: 5) == [])
    }

    @Test func aStatementIsComparedWithTheDatabaseAsSoonAsThatComes() async throws {
        let server = try await Restartable.instance.running()
        let url = try await server.urlOfNewSchema()
        try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test).close()
        try await server.sql("INSERT INTO project (name) VALUES ('first'), ('second')", url: url)
        try await server.stop()
        let configuration = try ToolServerConfiguration(
            document: [
                "toolServer": [
                    "sqlTools": [
                        "list": ["statement": "SELECT name, id FROM project ORDER BY id"],
                        // Declared in another order than the statement's.
                        "declared": [
                            "statement": "SELECT name, id FROM project ORDER BY id",
                            "columns": ["id": "integer", "name": "string"],
                        ],
                        "other": ["statement": "SELECT name FROM project", "columns": ["title": "string"]],
                        "wipe": [
                            "statement": "WITH gone AS (DELETE FROM project RETURNING id) SELECT id FROM gone"
                        ],
                    ]
                ]
            ], environment: [:])
        let store = try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test, waiting: true)
        let toolServer = try buildToolServer(
            configuration: configuration, store: store, provider: EchoProvider(), hasher: .test(),
            logger: Logger(label: "test"))
        func call(_ tool: String) async throws -> CallToolResult {
            try await toolServer.server.call(tool: tool, arguments: [:], principal: nil)
        }
        let tools = toolServer.server.toolDefinitions(for: nil)
        #expect(tools.suffix(4).map(\.name) == ["list", "declared", "other", "wipe"])
        #expect(tools.first { $0.name == "list" }?.outputSchema?["type"] == "object")
        for tool in ["list", "declared", "other", "wipe"] {
            let result = try await call(tool)
            #expect(result.isError && result.text == "The database is unavailable", "\(result.text)")
        }

        try await server.start()
        #expect(await isAnswered(store))
        let rows: JSONValue = ["results": [["name": "first", "id": 1], ["name": "second", "id": 2]]]
        #expect(try await call("list").structuredContent == rows)
        #expect(try await call("declared").structuredContent == rows)
        for tool in ["other", "wipe"] {
            let result = try await call(tool)
            #expect(result.isError && result.text == "The statement of \(tool) failed", "\(result.text)")
        }
        #expect(try await store.column("SELECT count(*) FROM project") == ["2"])
        // With its database there, a server does not even start.
        let errors = #expect(throws: ConfigurationErrors.self) {
            try buildToolServer(
                configuration: configuration, store: store, provider: EchoProvider(), hasher: .test(),
                logger: Logger(label: "test"))
        }
        #expect(errors?.description.contains("sqlTools.other.columns") == true, "\(errors?.description ?? "")")
        await toolServer.shutdown()
    }
}
