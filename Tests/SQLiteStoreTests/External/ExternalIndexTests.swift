import Foundation
import GRDB
import JSON
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct ExternalIndexTests {
    /// A site's table, our store, and the search with indexes.
    private struct Fixture {
        let legacy: LegacyDatabase
        let store: SQLiteStore
        let external: ExternalSQLite
        let search: any SearchRegistry & SearchIndexing

        init(_ model: JSONObject = [:], refresh: Duration = .seconds(3600), rows: Int = 300) throws {
            legacy = try LegacyDatabase()
            try legacy.write { db in
                try db.execute(
                    sql: """
                        CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body TEXT, owner INTEGER, rank INTEGER);
                        CREATE TABLE coded (
                            code TEXT PRIMARY KEY, title TEXT, body TEXT, owner INTEGER, rank INTEGER, rowid TEXT);
                        CREATE TABLE paired (
                            a INTEGER, b TEXT, title TEXT, body TEXT, owner INTEGER, rank INTEGER, PRIMARY KEY (b, a));
                        CREATE TABLE bare (code TEXT, title TEXT, body TEXT);
                        CREATE TABLE keyed (code TEXT PRIMARY KEY, title TEXT) WITHOUT ROWID;
                        CREATE TABLE hidden (rowid TEXT PRIMARY KEY, _RowID_ TEXT, OID TEXT, title TEXT);
                        CREATE VIEW seen AS SELECT id, title FROM note;
                        """)
                for id in 1...rows {
                    try db.execute(
                        sql: "INSERT INTO note VALUES (?, ?, ?, ?, ?)",
                        arguments: [
                            id * 2, "Note \(id)", id % 7 == 0 ? nil : "common Łódź \(id) %_\"'", id % 2 + 1, id % 10,
                        ])
                }
                try db.execute(
                    sql: """
                        INSERT INTO coded SELECT 'c' || id, title, body, owner, rank, 'none' FROM note ORDER BY id % 7, id;
                        INSERT INTO paired SELECT id, 'p' || id, title, body, owner, rank FROM note ORDER BY id % 7, id;
                        INSERT INTO bare SELECT 'b' || id, title, body FROM note;
                        """)
            }
            store = try SQLiteStore(at: .memory)
            var full: JSONObject = ["table": "note", "columns": ["title", "body"], "url": "/{id}/"]
            for (key, value) in model { full[key] = value }
            external = try legacy.open(models: ["notes": .object(full)])
            search = external.indexedSearch(store: store, refresh: refresh)
        }

        func build() async throws -> IndexReport { try await search.buildSearchIndex(model: "notes") { _ in } }
        func update() async throws -> IndexReport { try await search.updateSearchIndex(model: "notes") { _ in } }

        func names(_ query: String, columns: SearchColumns = .all, viewer: String? = nil) async throws -> [String] {
            try await pages(search, query, columns, viewer)
        }

        /// What the table itself gives.
        func scanned(_ query: String, columns: SearchColumns = .all, viewer: String? = nil) async throws -> [String] {
            try await pages(external, query, columns, viewer)
        }

        /// All pages of four.
        private func pages(
            _ registry: any SearchRegistry, _ query: String, _ columns: SearchColumns, _ viewer: String?
        ) async throws -> [String] {
            var request = SearchRequest(model: "notes", query: query, columns: columns, viewer: viewer, limit: 4)
            var names: [String] = []
            repeat {
                let page = try #require(await registry.search(request))
                names += page.hits.map(\.name)
                request.after = page.next
            } while request.after != nil
            return names
        }

        /// Takes everything out of the index, so that a search that finds something did not use it.
        func hollow() async throws {
            try await store.write { db in
                let tables = try String.fetchAll(
                    db, sql: "SELECT name FROM sqlite_master WHERE name LIKE 'side_text_%' AND sql LIKE '%fts5%'")
                for table in tables { try db.execute(sql: "INSERT INTO \(table)(\(table)) VALUES ('delete-all')") }
            }
        }
    }

    private static let shapes: [JSONObject] = [
        [:], ["order": ["-id"]], ["order": ["rank", "-title"]], ["order": ["-rank"]],
        ["filter": ["rank": [1, 2, 3]]], ["visibility": "owner", "owner": "owner"],
        ["display": "{title} ({rank})", "columns": ["body"]],
        ["table": "coded", "url": "/{code}/"], ["table": "coded", "url": "/{code}/", "order": ["-rank", "title"]],
        ["table": "paired", "url": "/{a}/{b}/"],
        ["table": "paired", "url": "/{a}/", "visibility": "owner", "owner": "owner"],
        ["table": "bare", "url": "/{code}/", "key": ["code"]],
    ]

    @Test(arguments: shapes)
    func searchesFindTheSameWithAnIndexAndWithout(model: JSONObject) async throws {
        let fixture = try Fixture(model)
        #expect(try await fixture.build() == IndexReport(rows: 300, changed: 300))
        for query in [
            "common", "NOTE 1", "łódź 12", "ŁÓDŹ", "%_\"'", "not there", "ote", "\0ab", "2", "", "mon \u{FFFD}",
        ] {
            for columns in [SearchColumns.all, .display] {
                let found = try await fixture.names(query, columns: columns, viewer: "django:1")
                #expect(
                    try await fixture.scanned(query, columns: columns, viewer: "django:1") == found, "\(query)")
            }
        }
        let before = try await fixture.names("common", viewer: "django:1")
        #expect(!before.isEmpty)
        try await fixture.hollow()
        #expect(try await fixture.names("common", viewer: "django:1").isEmpty)
    }

    @Test func whatChangedSinceIsNeverShownAsItWas() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        try fixture.legacy.write { db in
            try db.execute(sql: "UPDATE note SET title = 'renamed', body = 'other' WHERE id = 20")
            try db.execute(sql: "DELETE FROM note WHERE id = 40")
            try db.execute(sql: "INSERT INTO note (id, title) VALUES (1001, 'Note brand new')")
        }
        // Removed and outdated rows are not shown; new ones are, though no index knows them.
        #expect(
            try await fixture.names("Note 10") == [
                "Note 100", "Note 101", "Note 102", "Note 103", "Note 104", "Note 105", "Note 106", "Note 107",
                "Note 108", "Note 109",
            ])
        #expect(try await fixture.names("Note 20").first == "Note 200")
        #expect(try await fixture.names("brand new") == ["Note brand new"])
        #expect(try await fixture.search.searchIndexes().first?.state == .stale)
        #expect(try await fixture.update() == IndexReport(rows: 300, changed: 3))
        #expect(try await fixture.names("renamed") == ["renamed"])
        #expect(try await fixture.names("brand") == ["Note brand new"])
        #expect(try await fixture.search.searchIndexes().first?.state == .fresh)
        #expect(try await fixture.update().changed == 0)
    }

    @Test func newRowsComeFirstWhereTheOrderSaysSo() async throws {
        let fixture = try Fixture(["order": ["-id"]])
        _ = try await fixture.build()
        try fixture.legacy.write { db in
            for id in 2000...2099 {
                try db.execute(sql: "INSERT INTO note (id, title) VALUES (?, 'common new')", arguments: [id])
            }
        }
        let names = try await fixture.names("common")
        #expect(names.prefix(100).allSatisfy { $0 == "common new" })
        #expect(try await fixture.scanned("common") == names)
    }

    @Test func withoutRefreshingAnIndexCountsOnlyWhileNothingWasWritten() async throws {
        let fixture = try Fixture(refresh: .zero)
        _ = try await fixture.build()
        try await fixture.hollow()
        #expect(try await fixture.names("common").isEmpty)
        try fixture.legacy.write { db in try db.execute(sql: "UPDATE note SET body = 'rewritten' WHERE id = 2") }
        #expect(try await fixture.names("rewritten") == ["Note 1"])
    }

    @Test func muchChangeMakesAnUpdateBuildAnew() async throws {
        let fixture = try Fixture(rows: 3000)
        _ = try await fixture.build()
        try fixture.legacy.write { db in try db.execute(sql: "UPDATE note SET body = 'first rewriting'") }
        #expect(try await fixture.update().changed == 3000)
        try fixture.legacy.write { db in try db.execute(sql: "UPDATE note SET body = NULL WHERE id > 10") }
        // Builds, so that all rows count as taken up.
        #expect(try await fixture.update().changed == 3000)
        #expect(try await fixture.names("first rewriting").count == 5)
        let tables = try await fixture.store.read { db in
            try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE name LIKE 'side_row_%'")
        }
        #expect(tables.count == 1)
    }

    @Test func anIndexOfOtherColumnsIsNotUsed() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        try await fixture.store.write { db in try db.execute(sql: "UPDATE side_index SET definition = 'other'") }
        try await fixture.hollow()
        #expect(try await !fixture.names("common").isEmpty)
        #expect(try await fixture.search.searchIndexes().first?.state == .stale)
        #expect(try await fixture.update().changed == 300)
    }

    @Test func aDamagedIndexKeepsNobodyFromTheTable() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        try await fixture.store.write { db in try db.execute(sql: "UPDATE side_index SET generation = 99") }
        #expect(try await fixture.names("Note 300") == ["Note 300"])
    }

    @Test func anIndexIsNotUsedForAnotherFileInItsPlace() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        let copy = fixture.legacy.path + ".copy"
        try FileManager.default.copyItem(atPath: fixture.legacy.path, toPath: copy)
        let other = try DatabaseQueue(path: copy)
        try await other.write { db in try db.execute(sql: "UPDATE note SET body = 'rewritten' WHERE id = 2") }
        try other.close()
        try #require(rename(copy, fixture.legacy.path) == 0)
        #expect(try await fixture.names("rewritten") == ["Note 1"])
    }

    @Test func onlyOneMakesAnIndexAtATime() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        try await fixture.store.write { db in
            try db.execute(
                sql: "UPDATE side_index SET lease_until = ?",
                arguments: [Date().addingTimeInterval(60).milliseconds])
        }
        for work in [fixture.build, fixture.update] {
            let error = await #expect(throws: StoreError.self) { try await work() }
            #expect(error?.kind == .busy)
        }
        // The other one died.
        try await fixture.store.write { db in try db.execute(sql: "UPDATE side_index SET lease_until = 1") }
        #expect(try await fixture.update().changed == 0)
    }

    @Test func whatADeadMakerLeftIsCleanedUp() async throws {
        let fixture = try Fixture()
        _ = try await fixture.build()
        try await fixture.store.write { db in
            try ExternalIndexRecord.create(7, columns: 2, in: db)
            try db.execute(sql: "UPDATE side_index SET building = 7")
        }
        _ = try await fixture.build()
        let tables = try await fixture.store.read { db in
            try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE name LIKE 'side_row_%'")
        }
        #expect(tables == ["side_row_8"])
    }

    @Test func anIndexIsNotUsedOnceTheRowsMayHaveOtherNumbers() async throws {
        let fixture = try Fixture(["table": "bare", "url": "/{code}/", "key": ["code"]])
        _ = try await fixture.build()
        let number = "SELECT rowid FROM bare WHERE title = 'Note 250'"
        let before = try fixture.legacy.write { db in try Int64.fetchOne(db, sql: number) }
        try fixture.legacy.write { db in try db.execute(sql: "DELETE FROM bare WHERE title < 'Note 2'") }
        try await DatabaseQueue(path: fixture.legacy.path).vacuum()
        // Otherwise this proves nothing.
        #expect(try fixture.legacy.write { db in try Int64.fetchOne(db, sql: number) } != before)
        #expect(try await fixture.names("Note 250") == ["Note 250"])
        #expect(try await fixture.names("note 29") == fixture.scanned("note 29"))
        #expect(try await fixture.search.searchIndexes().first?.state == .stale)
        let left = try await fixture.update()
        #expect(left.rows == left.changed)
        #expect(try await fixture.search.searchIndexes().first?.state == .fresh)
        #expect(try await fixture.names("Note 250") == ["Note 250"])
        try await fixture.hollow()
        #expect(try await fixture.names("Note 250").isEmpty)
    }

    @Test func rowsWithTextKeysThatChangedAreFoundAsTheyAre() async throws {
        let fixture = try Fixture(["table": "coded", "url": "/{code}/"])
        _ = try await fixture.build()
        try fixture.legacy.write { db in
            try db.execute(sql: "UPDATE coded SET code = 'moved', title = 'renamed' WHERE code = 'c20'")
            try db.execute(sql: "DELETE FROM coded WHERE code = 'c40'")
            try db.execute(sql: "INSERT INTO coded (code, title) VALUES ('a', 'Note brand new')")
        }
        #expect(try await fixture.names("brand new") == ["Note brand new"])
        #expect(try await fixture.names("Note 20") == fixture.scanned("Note 20"))
        #expect(try await fixture.update() == IndexReport(rows: 300, changed: 3))
        #expect(try await fixture.names("renamed") == ["renamed"])
    }

    @Test(arguments: [
        ["table": "keyed", "columns": ["title"], "url": "/{code}/"] as JSONObject,
        ["table": "hidden", "columns": ["title"], "url": "/{rowid}/"],
        ["table": "seen", "columns": ["title"], "url": "/{id}/", "order": ["id"]],
    ])
    func tablesWithoutRowNumbersHaveNoIndex(model: JSONObject) async throws {
        let fixture = try Fixture(model)
        #expect(try await fixture.search.searchIndexes().first?.state == .unsupported)
        let error = await #expect(throws: StoreError.self) { try await fixture.build() }
        #expect(error?.kind == .unsupported)
        await #expect(throws: StoreError.self) { try await fixture.search.buildSearchIndex(model: "nope") { _ in } }
    }

    @Test func progressIsToldUpToTheEnd() async throws {
        let fixture = try Fixture()
        let (steps, continuation) = AsyncStream<IndexProgress>.makeStream()
        _ = try await fixture.search.buildSearchIndex(model: "notes") { continuation.yield($0) }
        continuation.finish()
        var seen: [IndexProgress] = []
        for await step in steps { seen.append(step) }
        #expect(seen.first == IndexProgress(rows: 0, total: 300, step: "rows"))
        #expect(seen.last == IndexProgress(rows: 300, total: 300, step: "rows"))
    }

    @Test func theSiteIsOnlyRead() async throws {
        let fixture = try Fixture()
        let before = try fixture.legacy.shape()
        _ = try await fixture.build()
        _ = try await fixture.update()
        #expect(try fixture.legacy.shape() == before)
    }
}

@Suite struct FoldedNeedleTests {
    private func isContained(_ needle: String, in haystack: [UInt8]) -> Bool {
        haystack.withUnsafeBytes {
            FoldedNeedle(folded: CaseFolding.fold(utf8: needle.utf8)).isContained(in: $0)
        }
    }

    @Test func itAgreesWithTheSlowComparison() {
        let pieces: [[UInt8]] = [
            Array("abc".utf8), Array("ABC ".utf8), Array("Ł".utf8), Array("ł".utf8), Array("\u{212A}".utf8),
            Array("ſ".utf8), Array("🚀".utf8), Array("𐐀".utf8), Array("\0".utf8), Array("İ".utf8), Array("ẞ".utf8),
            [0xFF],
            [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF4, 0x90, 0x80, 0x80], [],
        ]
        let needles = ["", "k", "K", "s", "abc", "cł", "Ł", "🚀", "𐐨", "\0", "\u{FFFD}", "i", "ß", "bc a"]
        for first in pieces {
            for second in pieces {
                let haystack = Array("xx".utf8) + first + second
                for needle in needles {
                    let folded = CaseFolding.fold(utf8: needle.utf8)
                    #expect(
                        isContained(needle, in: haystack) == CaseFolding.contains(haystack, foldedNeedle: folded),
                        "\(needle) in \(haystack)")
                }
            }
        }
    }

    @Test func theTableFoldsEveryScalar() {
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let folded = CaseFolding.fold(scalar)
            guard folded != scalar || value < 0x2FFFF && value % 7 == 0 else { continue }
            var result: [UInt8] = []
            Array(String(Character(scalar)).utf8).withUnsafeBytes { FoldingTable.fold(utf8: $0, into: &result) }
            #expect(result == Array(String(Character(folded)).utf8))
        }
    }
}
