import Dispatch
import Observability
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore

@Suite struct DatabaseLoadTests {
    @Test func aPoolTellsWhatItsConnectionsDo() async throws {
        var settings = PostgreSQLSettings.test
        settings.connections = 2
        let pool = PostgreSQLPool(
            try PostgreSQLLocation(parsing: await PostgreSQLServer.shared().url()), settings: settings)
        #expect(pool.load("p") == DatabaseLoad(pool: "p", busy: 0, idle: 0, waiting: 0))
        let end = DispatchSemaphore(value: 0)
        await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 { group.addTask { _ = try await pool.run { _ in end.wait() } } }
            #expect(await eventually { pool.load("p") == DatabaseLoad(pool: "p", busy: 2, idle: 0, waiting: 1) })
            for _ in 0..<3 { end.signal() }
        }
        #expect(await eventually { pool.load("p") == DatabaseLoad(pool: "p", busy: 0, idle: 2, waiting: 0) })
        await pool.close()
        #expect(pool.load("p") == DatabaseLoad(pool: "p", busy: 0, idle: 0, waiting: 0))
    }

    @Test func onlyDatabasesWithPoolsAreInTheMetrics() async throws {
        let none = MetricsRegistry()
        none.add([])
        #expect(!none.exposition().contains("tool_server_database"))
        let store = try await PostgreSQLStore(
            at: PostgreSQLLocation(parsing: await PostgreSQLServer.shared().urlOfNewSchema()), settings: .test)
        let registry = MetricsRegistry()
        registry.add([store])
        let text = registry.exposition()
        for pool in ["main", "scans"] {
            #expect(text.contains("tool_server_database_calls_waiting{pool=\"\(pool)\"} 0\n"))
            for state in ["busy", "idle"] {
                #expect(text.contains("tool_server_database_connections{pool=\"\(pool)\",state=\"\(state)\"} "))
            }
        }
        try await store.close()
    }
}
