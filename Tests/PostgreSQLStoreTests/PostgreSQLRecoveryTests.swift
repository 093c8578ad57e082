import Foundation
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store

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

    /// A request to cancel a statement needs a connection of its own, which nobody answers here.
    @Test(.timeLimit(.minutes(2))) func aStatementEndsAlsoWhereItCannotBeCancelled() async throws {
        let server = try await Restartable.instance.running()
        let pool = PostgreSQLPool(try PostgreSQLLocation(parsing: server.url()), settings: .test)
        let sleeping = (0..<2).map { number in
            Task {
                try await pool.run { connection in _ = try connection.execute("SELECT pg_sleep(6\(number + 4))") }
            }
        }
        let sleepers =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(6%'"
        #expect(await eventually { (try? await server.sql(sleepers)) == "2" })
        server.freeze()
        defer { server.thaw() }
        for task in sleeping { task.cancel() }
        for task in sleeping { _ = await task.result }
        server.thaw()
        // Their connections are not used again.
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
        await pool.close()
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
}
