import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import SQLiteStore
@testable import Store

@Suite struct WritingStatementTests {
    @Test(arguments: [
        ("INSERT INTO a (b) VALUES (:c)", "a", nil), ("insert into \"A b\".\"C\" default values", "c", "a b"),
        ("UPDATE ONLY s.t SET x = 1", "t", "s"), ("UPDATE [account] SET x = 1", "account", nil),
        ("/* why */ DELETE FROM `T` WHERE x", "t", nil), ("DELETE FROM ONLY a.b.c", "c", "b"),
    ])
    func theTableIsTheOneThatIsWritten(sql: String, table: String, schema: String?) throws {
        let statement = try WritingStatement(parsing: sql)
        #expect(statement.table == table)
        #expect(statement.schema == schema)
    }

    @Test(arguments: [
        "INSERT", "INSERT a VALUES (1)", "DELETE a", "UPDATE", "UPDATE 'a' SET x = 1", "DELETE FROM (a)",
        "(DELETE FROM a)", "DELETE FROM a; SELECT 1", "DELETE FROM a WHERE x = ?", "DELETE FROM a WHERE x = E'\\''",
    ])
    func whatIsNotOneWritingStatementIsRefused(sql: String) {
        #expect(throws: StatementError.self) { try WritingStatement(parsing: sql) }
    }

    @Test func possibleCallsAreNamesBeforeParenthesesAndBehindPoints() throws {
        let calls = try WritingStatement(
            parsing: """
                UPDATE t SET a = f /* ( */ (1), b = s."G"(2), c = row.h, d = 'i(' || x IN (1), e = t."J"
                WHERE k (:k) = 'l.m'
                """
        ).possibleCalls
        #expect(calls.functions == ["G", "f", "in", "k"])
        #expect(calls.fields == ["J", "h"])
    }

    /// A new table of the server must be added to those that no statement writes to.
    @Test(arguments: Engine.allCases) func theServersTablesAreItsOwn(engine: Engine) async throws {
        let store = try await engine.store()
        let names = try await store.column(
            engine == .sqlite
                ? "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                : "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace")
        let free = names.compactMap { $0 }.filter { !InternalTables.contains($0) }
        #expect(Set(free) == ["project", "task", "customer"])
    }
}
