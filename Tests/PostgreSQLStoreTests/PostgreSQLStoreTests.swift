import Foundation
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store

@Suite struct PostgreSQLStoreTests {
    private func location(_ url: String) throws -> PostgreSQLLocation { try PostgreSQLLocation(parsing: url) }

    private func message(_ text: String) -> StoredMessage {
        StoredMessage(message: text, response: "", at: Date(timeIntervalSince1970: 1))
    }

    @Test func serversThatStartTogetherMakeTheSchemaOnce() async throws {
        let location = try location(await PostgreSQLServer.shared().urlOfNewSchema())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    let store = try await PostgreSQLStore(at: location, settings: .test)
                    try await store.checkHealth()
                    try await store.close()
                }
            }
            try await group.waitForAll()
        }
        let store = try await PostgreSQLStore(at: location, settings: .test)
        let versions = try await store.column("SELECT version FROM tool_server_schema ORDER BY 1")
        #expect(versions == (1...PostgreSQLSchema.current).map { "\($0)" })
    }

    @Test func aSchemaOfANewerVersionIsRefused() async throws {
        let location = try location(await PostgreSQLServer.shared().urlOfNewSchema())
        let store = try await PostgreSQLStore(at: location, settings: .test)
        try await store.change("INSERT INTO tool_server_schema (version) VALUES (99)")
        let error = await #expect(throws: StoreError.self) { try await PostgreSQLStore(at: location, settings: .test) }
        #expect(error?.kind == .newerSchema)
        #expect(error?.description.contains("99") == true)
    }

    @Test func aDatabaseThatMayOnlyBeReadIsNamedAsSuch() async throws {
        let url = try await PostgreSQLServer.shared().urlOfNewSchema()
        try await PostgreSQLStore(at: location(url), settings: .test).close()
        let readOnly = url.replacing("options=", with: "options=-cdefault_transaction_read_only%3Don%20")
        let store = try await PostgreSQLStore(at: location(readOnly), settings: .test)
        let error = await #expect(throws: StoreError.self) { try await store.appendMessage(message("m"), userID: "u") }
        #expect(error?.kind == .readOnly)
        #expect(try await store.messages(userID: "u", limit: 1).isEmpty)
    }

    @Test(arguments: [("53100", StoreError.Kind.full), ("53300", .busy), ("58030", .unavailable), ("XX001", .corrupt)])
    func whatTheServerReportsIsToldByItsKind(code: String, kind: StoreError.Kind) async throws {
        let store = try await PostgreSQLStore.new()
        try await store.change(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $refuse$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '\(code)'; END $refuse$
            """)
        try await store.change(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON message FOR EACH ROW EXECUTE FUNCTION refuse()")
        let error = await #expect(throws: StoreError.self) {
            try await store.appendMessage(message("secret"), userID: "u")
        }
        #expect(error?.kind == kind)
        #expect(error?.description.contains("secret") == false)
        #expect(try await store.messages(userID: "u", limit: 1).isEmpty)
    }

    @Test func aLockedTableIsBusyAndNothingIsHalfWritten() async throws {
        let url = try await PostgreSQLServer.shared().urlOfNewSchema()
        let store = try await PostgreSQLStore(
            at: location(url.replacing("options=", with: "options=-clock_timeout%3D50%20")), settings: .test)
        let other = try await PostgreSQLStore(at: location(url), settings: .test)
        let error = try await other.pool.run { connection in
            try connection.transaction {
                try connection.script("LOCK TABLE message")
                let box = ErrorBox()
                let waiter = DispatchSemaphore(value: 0)
                Task {
                    await box.keep {
                        try await store.appendMessage(
                            StoredMessage(message: "m", response: "r", at: Date()), userID: "u")
                    }
                    waiter.signal()
                }
                waiter.wait()
                return box
            }
        }
        #expect(await (error.error as? StoreError)?.kind == .busy)
        #expect(try await store.messages(userID: "u", limit: 10).isEmpty)
    }

    private actor ErrorBox {
        var error: (any Error)?
        func keep(_ body: @Sendable () async throws -> Void) async {
            do { try await body() } catch { self.error = error }
        }
    }

    @Test func anEndedSessionIsKnownToAllServers() async throws {
        let location = try location(await PostgreSQLServer.shared().urlOfNewSchema())
        let one = try await PostgreSQLStore(at: location, settings: .test)
        let other = try await PostgreSQLStore(at: location, settings: .test)
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let (ended, alive) = ([UInt8](repeating: 1, count: 16), [UInt8](repeating: 2, count: 16))
        one.record(ended, until: now + 60, now: now)
        #expect(await one.contains(ended))
        #expect(await eventually { await other.contains(ended) })
        #expect(await !other.contains(alive))
        // What is over anyway is forgotten with the next end.
        one.record(alive, until: now + 600, now: now + 61)
        #expect(try await eventually { try await other.column("SELECT count(*) FROM ended_session") == ["1"] })
        // A database that cannot be asked must not bring a session back.
        try await other.close()
        #expect(await other.contains([UInt8](repeating: 3, count: 16)))
    }

    // MARK: Search

    @Test func wordsThatManyRowsHaveAreFoundByWalkingAndRareOnesThroughTheIndex() async throws {
        var settings = PostgreSQLSettings.test
        settings.walkedFirst = 20
        let store = try await PostgreSQLStore.new(settings: settings)
        try await store.change(
            """
            INSERT INTO project (name)
            SELECT 'Common ' || n || CASE WHEN n > 490 THEN ' rarity' ELSE '' END FROM generate_series(1, 500) AS n
            """)
        for (query, first) in [("common", 1), ("RARITY", 491), ("on 49", 49), ("n", 1), ("rarity ", 0)] {
            let page = try await store.search(
                SearchRequest(model: "projects", query: query, columns: .all, limit: 5))
            #expect(page?.hits.first?.url == (first == 0 ? nil : "/psm/project/\(first)/"), "\(query)")
        }
        // Page by page through both ways.
        var position: PagePosition?
        var names: [String] = []
        repeat {
            let page = try #require(
                try await store.search(
                    SearchRequest(model: "projects", query: "rarity", columns: .display, limit: 3, after: position)))
            names += page.hits.map(\.name)
            position = page.next
        } while position != nil
        #expect(names == (491...500).map { "Common \($0) rarity" })
    }

    @Test func theIndexIsReportedMadeAnewAndNotNeeded() async throws {
        let store = try await PostgreSQLStore.new()
        try await store.insert(projects: [("Alpha beta", ""), ("Gamma", "alphabet")])
        #expect(try await store.searchIndexes().allSatisfy { $0.state == .maintained })
        let before = try await store.search(model: "projects", query: "alpha", columns: .all, limit: 5)
        try await store.change("DROP INDEX project_trigram")
        store.indexes.forget()
        #expect(try await store.searchIndexes().first?.state == .missing)
        #expect(try await store.search(model: "projects", query: "alpha", columns: .all, limit: 5) == before)
        _ = try await store.updateSearchIndex(model: "projects") { _ in }
        #expect(try await store.searchIndexes().first?.state == .maintained)
        let report = try await store.buildSearchIndex(model: "projects") { _ in }
        #expect(report.rows == 2)
        #expect(try await store.search(model: "projects", query: "alpha", columns: .all, limit: 5) == before)
        await #expect(throws: StoreError.self) { try await store.buildSearchIndex(model: "nope") { _ in } }
    }

    @Test func theRarestTrigramsAreChosen() {
        var trigrams = PostgreSQLTrigrams(total: 100_000)
        for number in 0..<1000 { trigrams.add(number < 3 ? "common rare" : "common words") }
        let rare = trigrams.rarest(of: "common RARE".unicodeScalars)
        #expect(rare.trigrams.allSatisfy { ["RAR", "ARE"].contains($0) })
        #expect(rare.share < 0.01)
        #expect(trigrams.rarest(of: "new".unicodeScalars).trigrams == ["new"])
        #expect(
            trigrams.rarest(of: "ab %_ cd".unicodeScalars) == .init(trigrams: [], share: 1, expectedRows: 100_000))
        let common = trigrams.rarest(of: String(repeating: "common ", count: 30).unicodeScalars)
        #expect(common.trigrams.count <= 3)
        #expect(common.share > 0.9 && common.expectedRows > 10_000)
    }

    @Test(arguments: [
        [StoreValue.text("x")], [.null], [.integer(1), .integer(2)], [], [.blob([1])], [.text("99999999999999999999")],
        [.text("1; DROP TABLE project")], [.text("\0")],
    ])
    func aPositionThatNoPageEndsWithIsRefused(values: [StoreValue]) async throws {
        let store = try await PostgreSQLStore.new()
        await #expect(throws: SearchError.invalidPosition) {
            try await store.search(
                SearchRequest(
                    model: "projects", query: "a", columns: .all, limit: 5, after: PagePosition(values)))
        }
    }

    // MARK: Statements of the configuration

    @Test func columnsAndTheirTypesComeFromTheStatement() async throws {
        let store = try await PostgreSQLStore.new()
        let statement = try ReadOnlyStatement(
            parsing: "SELECT id, name AS title, 1.5::float8 AS share, true AS flag FROM project WHERE id = :x -- end",
            types: ["x": StatementParameterType(.integer)])
        #expect(
            try store.describe(statement) == [
                StatementColumn(name: "id", type: .integer), StatementColumn(name: "title", type: .string),
                StatementColumn(name: "share", type: .number), StatementColumn(name: "flag", type: .boolean),
            ])
    }

    @Test(arguments: [
        "WITH x AS (DELETE FROM project RETURNING id) SELECT * FROM x", "SELECT nope FROM project",
        "WITH x AS (SELECT 1) INSERT INTO project (name) SELECT 'x'", "SELECT * FROM project FOR UPDATE",
        "SELECT * FROM nope", "SELECT nope(1)", "SELECT (",
        "SELECT setval('project_id_seq', 7)",
    ])
    func statementsThatWriteOrDoNotFitAreRefused(sql: String) async throws {
        let store = try await PostgreSQLStore.new()
        let statement = try ReadOnlyStatement(parsing: sql)
        #expect(throws: StatementError.self) {
            _ = try store.describe(statement)
            // What a function does shows when it runs.
            throw StatementError.rejected("described")
        }
        await #expect(throws: StatementError.self) {
            try await store.run(statement, arguments: [], limit: 1, timeout: .seconds(5))
        }
        try await store.change("INSERT INTO project (name) VALUES ('next')")
        #expect(try await store.column("SELECT id FROM project") == ["1"])
    }

    @Test func textThatOnlyFitsIntoAnotherStatementIsRefused() async throws {
        let store = try await PostgreSQLStore.new()
        let statement = try ReadOnlyStatement(parsing: "SELECT 1) AS a, (SELECT 2")
        #expect(throws: StatementError.self) { try store.describe(statement) }
    }

    @Test func valuesComeBackWhole() async throws {
        let store = try await PostgreSQLStore.new()
        let values: [StoreValue] = [.null, .integer(.min), .real(0.5), .text("ł'; --"), .text(""), .boolean(true)]
        let types: [String: StatementType] = [
            "a": .string, "b": .integer, "c": .number, "d": .string, "e": .string, "f": .boolean,
        ]
        let statement = try ReadOnlyStatement(
            parsing: "SELECT :a, :b, :c, :d, :e, :f", types: types.mapValues { StatementParameterType($0) })
        let rows = try await store.run(statement, arguments: values, limit: 5, timeout: .seconds(5))
        #expect(rows == StatementRows(rows: [values], truncated: false))
        let three = try ReadOnlyStatement(parsing: "VALUES (1), (2), (3)")
        #expect(try await store.run(three, arguments: [], limit: 3, timeout: .seconds(5)).truncated == false)
        #expect(
            try await store.run(three, arguments: [], limit: 2, timeout: .seconds(5))
                == StatementRows(rows: [[.integer(1)], [.integer(2)]], truncated: true))
    }

    @Test func aStatementThatTakesTooLongIsStopped() async throws {
        let store = try await PostgreSQLStore.new()
        let slow = try ReadOnlyStatement(parsing: "SELECT pg_sleep(60)")
        let error = await #expect(throws: StoreError.self) {
            try await store.run(slow, arguments: [], limit: 1, timeout: .milliseconds(20))
        }
        #expect(error?.kind == .timeout)
        let divided = try ReadOnlyStatement(parsing: "SELECT 1 / :x", types: ["x": StatementParameterType(.integer)])
        let refusal = await #expect(throws: StatementError.self) {
            try await store.run(divided, arguments: [.integer(0)], limit: 1, timeout: .seconds(5))
        }
        #expect(refusal?.description == "division by zero")
    }
}
