import GRDB
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct SearchScanTests {
    /// Enough rows that one look through them all is no matter of an instant in a debug build.
    private func store(_ temporary: TemporaryDatabase) async throws -> SQLiteStore {
        let store = try SQLiteStore(at: .file(temporary.path))
        try await store.write { db in
            try db.execute(
                sql: """
                    WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 30000)
                    INSERT INTO project (id, name, description) SELECT id, 'Name ' || id, 'ordinary text' FROM n
                    """)
        }
        return store
    }

    @Test func aScanWhoseCallerLeavesGivesItsPlaceBack() async throws {
        let temporary = try TemporaryDatabase()
        let store = try await store(temporary)
        let scans = (0..<40).map { _ in
            Task { try await store.search(model: "projects", query: "@@", columns: .all, limit: 5) }
        }
        for scan in scans { scan.cancel() }
        for scan in scans {
            // Those that were done before they were told found nothing.
            let found = try? await scan.value
            #expect(found == nil || found == .some([]))
        }
        #expect(try await store.search(model: "projects", query: "@@", columns: .all, limit: 5) == [])
        try await store.close()
    }

    @Test func whatTheFirstRowsSatisfyWaitsForNoScan() async throws {
        let temporary = try TemporaryDatabase()
        let store = try await store(temporary)
        // All places are taken until the end of the test.
        let (gate, opening) = AsyncStream<Void>.makeStream()
        let (entered, entering) = AsyncStream<Void>.makeStream()
        let limited = SearchScans(limit: 1, queueLimit: 0)
        let holder = Task {
            try await limited.scan {
                entering.yield()
                for await _ in gate {}
            }
        }
        for await _ in entered { break }
        await #expect(throws: SearchError.tooManyScans) { try await limited.scan {} }
        opening.finish()
        try await holder.value
        try await limited.scan {}
        let hits = try await store.search(model: "projects", query: "e", columns: .all, limit: 2)
        #expect(hits?.map(\.name) == ["Name 1", "Name 2"])
        let page = try await store.search(SearchRequest(model: "projects", query: "99", columns: .display, limit: 1))
        #expect(page?.hits.map(\.name) == ["Name 99"])
        try await store.close()
    }

    @Test(arguments: [
        ("abc", "{a b} : \"abc\""), ("a\"bcdefg", "{a b} : \"a\"\"bcdefg\""), ("ab", nil), ("", nil), ("ab\0cd", nil),
        ("ab\u{FFFD}", nil),
    ])
    func shortQueriesAreOnePhrase(query: String, expression: String?) {
        #expect(TrigramPhrase.expression(query, columns: ["a", "b"]) == expression)
    }

    @Test func longQueriesAskForTheirRarestTrigrams() {
        let expression = TrigramPhrase.expression("the quizzed one of the nine", columns: ["a"])
        #expect(expression?.contains("\"izz\"") == true)
        #expect(expression?.contains("the") == false)
        let long = String(repeating: "0123456789abcdefgh", count: 5000)
        #expect(TrigramPhrase.expression(long, columns: ["a"])?.utf8.count ?? 0 < 100)
    }
}
