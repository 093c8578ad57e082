import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct StatementTests {
    private func text(_ sql: String) throws -> String {
        try ReadOnlyStatement(parsing: sql).text.text { "?\($0 + 1)" }
    }

    @Test(arguments: [
        ("SELECT :a, :b, :a", "SELECT ?1, ?2, ?1"),
        (
            "SELECT ':a', \":b\", `:c`, [d:e], x::text, :f -- :g\n, /* :h ; */ 1;",
            "SELECT ':a', \":b\", `:c`, [d:e], x::text, ?1  \n,   1"
        ),
        ("SELECT 'it''s :a' || :b", "SELECT 'it''s :a' || ?1"),
        ("SELECT $$ :a ; $$, $x$ :b $$ $x$, :c", "SELECT $$ :a ; $$, $x$ :b $$ $x$, ?1"),
        (
            "WITH x AS (SELECT 1) SELECT * FROM x WHERE 1 = :ünïcode_1",
            "WITH x AS (SELECT 1) SELECT * FROM x WHERE 1 = ?1"
        ),
        ("  (SELECT 1)", "  (SELECT 1)"), ("-- why\nSELECT 1 ; ; ", " \nSELECT 1   "),
        ("VALUES (1), (:x)", "VALUES (1), (?1)"),
        ("SELECT a[1:2], b FROM t WHERE c @> :d", "SELECT a[1:2], b FROM t WHERE c @> ?1"),
    ])
    func parametersAreFoundOutsideOfTexts(sql: String, expected: String) throws {
        #expect(try text(sql) == expected)
    }

    @Test(arguments: [
        "", "  ;", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE x", "SELECT 1;;x", "SELECT 'x",
        "SELECT \"x",
        "SELECT /* x", "SELECT /* /* x */ */ 1", "SELECT ?", "SELECT ?1", "SELECT @a", "SELECT $a", "SELECT $1",
        "SELECT E'\\'; DROP TABLE x; --'", "SELECT 1\0; DROP TABLE x", "PRAGMA user_version", "BEGIN",
        "ATTACH 'x' AS y",
        "DELETE FROM account", "VACUUM INTO 'x'", "EXPLAIN SELECT 1", ":a", "SELECT $a$ x",
    ])
    func whatIsNotOneReadingStatementIsRefused(sql: String) {
        #expect(throws: StatementError.self) { try ReadOnlyStatement(parsing: sql) }
    }

    @Test(arguments: [
        ("SELECT 1 WHERE 1 IN (:a)", true), ("SELECT 1 WHERE x.\"y\"in( :a )", true),
        ("SELECT 1 WHERE f(1)NOT IN /* x */ (:a)", true), ("SELECT :a", false), ("SELECT (:a)", false),
        ("SELECT 1 WHERE 1 = ANY (:a)", false), ("SELECT 1 WHERE 1 IN (2, :a)", false),
        ("SELECT 1 WHERE 1 IN (:a, 2)", false), ("SELECT margin (:a)", false), ("SELECT \"in\" (:a)", false),
        ("SELECT 'in (' || :a || ')'", false), ("SELECT 1 WHERE 1 IN (:a) OR :a", false),
    ])
    func aListStandsInParenthesesOfItsOwn(sql: String, isAllowed: Bool) throws {
        let types = ["a": StatementParameterType(.integer, isList: true)]
        if isAllowed {
            #expect(try ReadOnlyStatement(parsing: sql, types: types).parameters == ["a"])
        } else {
            #expect(throws: StatementError.self) { try ReadOnlyStatement(parsing: sql, types: types) }
        }
    }

    @Test func columnsAndTheirTypesComeFromTheStatement() throws {
        let store = try SQLiteStore(at: .memory)
        let columns = try store.describe(
            ReadOnlyStatement(parsing: "SELECT id, name AS title, count(*) AS n FROM project WHERE name = :x"))
        #expect(
            columns == [
                StatementColumn(name: "id", type: .integer), StatementColumn(name: "title", type: .string),
                StatementColumn(name: "n", type: nil),
            ])
    }

    @Test(arguments: [
        "WITH x AS (SELECT 1) DELETE FROM project", "WITH x AS (SELECT 1) INSERT INTO project (name) SELECT 'x'",
        "SELECT nope FROM project", "SELECT * FROM nope", "SELECT nope(1)", "SELECT (", "SELECT load_extension('x')",
    ])
    func statementsThatWriteOrDoNotFitAreRefusedByTheDatabase(sql: String) async throws {
        let store = try SQLiteStore(at: .memory)
        let statement = try ReadOnlyStatement(parsing: sql)
        #expect(throws: StatementError.self) {
            _ = try store.describe(statement)
            // Some functions are only refused when they run.
            throw StatementError.rejected("described")
        }
        await #expect(throws: StatementError.self) {
            try await store.run(statement, arguments: [], limit: 1, timeout: .seconds(5))
        }
    }

    @Test func valuesComeBackWhole() async throws {
        let store = try SQLiteStore(at: .memory)
        let values: [StoreValue] = [
            .null, .integer(.min), .real(0.5), .text("a\0ł'; --"), .text(""), .blob([0, 1, 255]), .boolean(true),
        ]
        let statement = try ReadOnlyStatement(parsing: "SELECT :a, :b, :c, :d, :e, :f, :g")
        let rows = try await store.run(statement, arguments: values, limit: 5, timeout: .seconds(5))
        #expect(rows == StatementRows(rows: [Array(values.dropLast()) + [.integer(1)]], truncated: false))
        // Bound values of one run must not be those of the next.
        let second = try await store.run(
            statement, arguments: Array(repeating: .null, count: 7), limit: 5, timeout: .seconds(5))
        #expect(second.rows == [Array(repeating: .null, count: 7)])
    }

    @Test func moreRowsThanTheLimitAreLeftOut() async throws {
        let store = try SQLiteStore(at: .memory)
        let statement = try ReadOnlyStatement(parsing: "VALUES (1), (2), (3)")
        #expect(try await store.run(statement, arguments: [], limit: 3, timeout: .seconds(5)).truncated == false)
        let cut = try await store.run(statement, arguments: [], limit: 2, timeout: .seconds(5))
        #expect(cut.rows == [[.integer(1)], [.integer(2)]])
        #expect(cut.truncated)
    }

    private let endless = "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x"

    @Test func aStatementThatTakesTooLongIsStopped() async throws {
        let database = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(database.path))
        let statement = try ReadOnlyStatement(parsing: endless)
        let error = await #expect(throws: StoreError.self) {
            try await store.run(statement, arguments: [], limit: 1, timeout: .milliseconds(20))
        }
        #expect(error?.kind == .timeout)
        // The connection is free again.
        try await store.checkHealth()
        let one = try ReadOnlyStatement(parsing: "SELECT 1")
        #expect(try await store.run(one, arguments: [], limit: 1, timeout: .seconds(5)).rows == [[.integer(1)]])
        try await store.close()
    }

    @Test func aStatementWhoseCallerLeavesIsStopped() async throws {
        let database = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(database.path))
        let statement = try ReadOnlyStatement(parsing: endless)
        let task = Task { try await store.run(statement, arguments: [], limit: 1, timeout: .seconds(600)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // Waits for the connections, so it would not return while the statement ran.
        try await store.close()
    }
}
