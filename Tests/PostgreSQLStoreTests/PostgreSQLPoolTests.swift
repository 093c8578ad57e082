import Foundation
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store

@Suite struct PostgreSQLPoolTests {
    private func pool(
        _ parameters: [String: String] = [:], readOnly: Bool = false,
        _ change: (inout PostgreSQLSettings) -> Void = { _ in }
    ) async throws -> PostgreSQLPool {
        var settings = PostgreSQLSettings.test
        change(&settings)
        let url = try await PostgreSQLServer.shared().url(parameters)
        return PostgreSQLPool(try PostgreSQLLocation(parsing: url), settings: settings, readOnly: readOnly)
    }

    private func failure(_ body: () async throws -> Void) async -> PostgreSQLError? {
        await #expect(throws: PostgreSQLError.self) { try await body() }
    }

    @Test func valuesOfEveryKindComeBack() async throws {
        let row = try await pool().run { connection in
            try connection.first(
                "SELECT $1::text, $2::bigint, $3::float8, $4::bool, $5::bytea, $6::text[], $7::text",
                [
                    .text("a'b\"\\ü🚀"), .integer(.min), .real(0.1), .bool(true), .bytes([0, 1, 255]),
                    .texts(["x,\"y\"", "\\", ""]), .null,
                ]
            ) { row in
                (
                    row.text(0), row.integer(1), row.text(2), row.bool(3), row.bytes(4), row.text(5), row[6]
                )
            }
        }
        let values = try #require(row)
        #expect(values.0 == "a'b\"\\ü🚀")
        #expect(values.1 == .min)
        #expect(values.2 == "0.1")
        #expect(values.3)
        #expect(values.4 == [0, 1, 255])
        #expect(values.5 == #"{"x,\"y\"","\\",""}"#)
        #expect(values.6 == nil)
    }

    @Test func textIsNeverCutAtANUL() async throws {
        let pool = try await pool()
        let failure = await failure {
            _ = try await pool.run { connection in try connection.execute("SELECT $1::text", [.text("a\0b")]) }
        }
        #expect(failure?.code == "22021")
        // The connection is none the worse for it.
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
    }

    /// libpq answers every question about the result of a COPY with the same one.
    @Test(.timeLimit(.minutes(1)), arguments: ["COPY (SELECT 1) TO STDOUT", "COPY copied FROM STDIN"])
    func aCopyEndsItsConnection(_ statement: String) async throws {
        let pool = try await pool { $0.connections = 1 }
        let failure = await failure {
            try await pool.run { connection in
                try connection.script("CREATE TEMP TABLE copied (id int)")
                try connection.script(statement)
            }
        }
        #expect(failure?.isDisconnected == true)
        // The connection is not used again.
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
    }

    @Test func connectionsAreMadeAsNeededAndNoMore() async throws {
        let pool = try await pool { $0.connections = 2 }
        #expect(pool.connectionCount == 0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let answer = try await pool.run { connection in
                        try connection.first("SELECT $1::bigint", [.integer(Int64(number))]) { $0.integer(0) }
                    }
                    #expect(answer == Int64(number))
                }
            }
            try await group.waitForAll()
        }
        #expect((1...2).contains(pool.connectionCount))
        await pool.close()
        #expect(pool.connectionCount == 0)
        await #expect(throws: StoreError.self) { try await pool.run { _ in } }
    }

    @Test func whoWaitsTooLongForAConnectionIsTold() async throws {
        let pool = try await pool {
            $0.connections = 1
            $0.wait = .milliseconds(50)
        }
        let long = Task { try await pool.run { connection in _ = try connection.execute("SELECT pg_sleep(60)") } }
        await eventually { pool.connectionCount == 1 }
        var error: StoreError?
        await eventually {
            do { try await pool.run { _ in } } catch let busy as StoreError { error = busy } catch {}
            return error != nil
        }
        #expect(error?.kind == .busy)
        long.cancel()
        await #expect(throws: CancellationError.self) { try await long.value }
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
    }

    @Test func cancellingATaskEndsItsStatement() async throws {
        let pool = try await pool()
        let task = Task {
            try await pool.run { connection in _ = try connection.execute("SELECT pg_sleep(61) AS cancelled_soon") }
        }
        func running() async throws -> Int64? {
            try await pool.run { connection in
                try connection.first(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(61)%'"
                ) { $0.integer(0) }
            }
        }
        #expect(try await eventually { try await running() == 1 })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await eventually { try await running() == 0 })
    }

    @Test func aTransactionThatIsCancelledLeavesNothing() async throws {
        let pool = try await pool { $0.connections = 1 }
        try await pool.run { try $0.script("CREATE TEMPORARY TABLE kept (n int)") }
        let task = Task {
            try await pool.run { connection in
                try connection.transaction {
                    _ = try connection.execute("INSERT INTO kept VALUES (1)")
                    _ = try connection.execute("SELECT pg_sleep(62)")
                }
            }
        }
        await eventually {
            (try? await PostgreSQLServer.shared().sql(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(62)'"))
                == "1"
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // The same connection, as the table would be gone with it.
        #expect(try await pool.run { try $0.first("SELECT count(*) FROM kept") { $0.integer(0) } } == 0)
    }

    @Test func aSlowStatementIsEndedAndItsTextIsNotTold() async throws {
        let pool = try await pool { $0.statementTimeout = .milliseconds(50) }
        let failure = await failure {
            _ = try await pool.run { connection in try connection.execute("SELECT pg_sleep(60), 'hush'") }
        }
        #expect(failure?.kind == .timeout)
        #expect(failure?.description.contains("hush") == false)
    }

    @Test func aLostConnectionIsReplaced() async throws {
        let pool = try await pool { $0.connections = 1 }
        let first = try await pool.run { try $0.first("SELECT pg_backend_pid()") { $0.integer(0) } }
        try await PostgreSQLServer.shared().sql("SELECT pg_terminate_backend(\(first ?? 0), 5000)")
        let second = try await pool.run { try $0.first("SELECT pg_backend_pid()") { $0.integer(0) } }
        #expect(second != nil && second != first)
    }

    @Test func aServerProcessThatIsEndedInTheMiddleOfAStatementIsAnErrorAndReplaced() async throws {
        let pool = try await pool { $0.connections = 1 }
        let task = Task { try await pool.run { connection in _ = try connection.execute("SELECT pg_sleep(65)") } }
        var process = ""
        let server = try await PostgreSQLServer.shared()
        try await eventually {
            process = try await server.sql(
                "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(65)'")
            return !process.isEmpty
        }
        try await server.sql("SELECT pg_terminate_backend(\(process), 5000)")
        let failure = await failure { try await task.value }
        #expect(failure?.kind == .unavailable)
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
    }

    @Test func preparedStatementsAreBounded() async throws {
        let pool = try await pool { $0.connections = 1 }
        let prepared = try await pool.run { connection in
            for number in 0..<(PostgreSQLConnection.preparedLimit * 2) {
                try connection.execute("SELECT \(number)")
                try connection.execute("SELECT 'again and again'")
            }
            return try connection.first("SELECT count(*) FROM pg_prepared_statements") { $0.integer(0) }
        }
        #expect(prepared == Int64(PostgreSQLConnection.preparedLimit))
    }

    @Test func aTableThatChangesUnderAPreparedStatementIsReadAgain() async throws {
        let pool = try await pool { $0.connections = 1 }
        try await pool.run { connection in
            try connection.script("CREATE TEMPORARY TABLE shape (a int); INSERT INTO shape VALUES (1)")
            _ = try connection.execute("SELECT * FROM shape")
            try connection.script("ALTER TABLE shape ADD COLUMN b int")
        }
        let failure = await failure { _ = try await pool.run { try $0.execute("SELECT * FROM shape") } }
        #expect(failure?.code == "0A000")
        #expect(try await pool.run { try $0.execute("SELECT * FROM shape") } == 1)
    }

    @Test func aReadOnlyConnectionRefusesToWrite() async throws {
        let pool = try await pool(readOnly: true)
        let failure = await failure { try await pool.run { try $0.script("CREATE TABLE never (n int)") } }
        #expect(failure?.kind == .readOnly)
    }

    // MARK: Where it is

    @Test(arguments: [
        ("postgres://ada:s3cret@db.example:5433/tools?sslmode=verify-full", "postgres://ada@db.example:5433/tools"),
        ("postgresql://db/tools?password=s3cret", "postgres://db/tools"), ("postgres:///", "postgres:///"),
        ("postgres://%61da@/x?host=/run/pg", "postgres://ada@/run/pg/x"),
    ])
    func urlsAreShownWithoutPasswords(url: String, shown: String) throws {
        let location = try PostgreSQLLocation(parsing: url)
        #expect(location.description == shown)
        #expect(!"\(location)".contains("s3cret"))
        #expect((location.password?.value == "s3cret") == url.contains("s3cret"))
    }

    @Test func whatCannotBeReachedIsNamedWithoutThePassword() async throws {
        let error = await #expect(throws: StoreError.self) {
            try await PostgreSQLStore(at: PostgreSQLLocation(parsing: "postgres://ada:s3cret@127.0.0.1:1/tools"))
        }
        #expect(error?.kind == .unavailable)
        let text = error?.description ?? ""
        #expect(text.hasPrefix("cannot open database postgres://ada@127.0.0.1:1/tools: "))
        #expect(!text.contains("s3cret"))
        #expect(!text.contains("\n"))
    }

    @Test func aDatabaseThatIsNotThereIsNamed() async throws {
        let url = try await PostgreSQLServer.shared().url(database: "nowhere")
        let error = await #expect(throws: StoreError.self) {
            try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url))
        }
        #expect(error?.description.contains("\"nowhere\" does not exist") == true)
    }

    @Test func encryptionThatTheServerDoesNotOfferIsNotDoneWithout() async throws {
        // A Unix socket is never encrypted, so the server is asked over TCP, where nobody listens with TLS.
        let listener = try await PostgreSQLServer()
        let port = try freePort()
        try await listener.start(["listen_addresses": "127.0.0.1", "port": "\(port)"])
        let plain = "postgres://\(PostgreSQLServer.user)@127.0.0.1:\(port)/postgres"
        let store = try await PostgreSQLStore(at: PostgreSQLLocation(parsing: plain), settings: .test)
        try await store.close()
        let error = await #expect(throws: StoreError.self) {
            try await PostgreSQLStore(at: PostgreSQLLocation(parsing: plain + "?sslmode=require"), settings: .test)
        }
        #expect(error?.description.contains("SSL") == true)
        try await listener.stop()
    }
}
