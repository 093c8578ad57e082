import Foundation
import GRDB
import Testing

@testable import ToolServerCore

@Suite struct SearchTests {
    private func store(projects: [(String, String)]) async throws -> SQLiteStore {
        let store = try SQLiteStore(at: .memory)
        try await store.write { db in
            for (name, description) in projects {
                try db.execute(
                    sql: "INSERT INTO project (name, description) VALUES (?, ?)", arguments: [name, description])
            }
        }
        return store
    }

    private func names(
        _ store: SQLiteStore, _ query: String, columns: SearchColumns = .all, limit: Int = 5
    ) async throws -> [String] {
        try #require(await store.search(model: "projects", query: query, columns: columns, limit: limit)).map(\.name)
    }

    @Test func theFirstMatchesInIDOrderAreFound() async throws {
        let store = try await store(projects: (1...20).map { ("Urgent \($0)", "") })
        #expect(try await names(store, "urgent") == (1...5).map { "Urgent \($0)" })
        #expect(try await names(store, "ur") == (1...5).map { "Urgent \($0)" })
        let hits = try await store.search(model: "projects", query: "Urgent 12", columns: .all, limit: 5)
        #expect(hits == [SearchHit(name: "Urgent 12", url: "/psm/project/12/")])
    }

    @Test func otherColumnsAreSearchedOnlyWhenAsked() async throws {
        let store = try await store(projects: [("Alpha", "planned for Q2"), ("Beta planned", "")])
        #expect(try await names(store, "planned") == ["Alpha", "Beta planned"])
        #expect(try await names(store, "planned", columns: .display) == ["Beta planned"])
        #expect(try await names(store, "pl", columns: .display) == ["Beta planned"])
    }

    @Test func aMatchNeverSpansTwoColumns() async throws {
        let store = try await store(projects: [("abc", "def")])
        #expect(try await names(store, "cde").isEmpty)
        #expect(try await names(store, "bcdef").isEmpty)
    }

    @Test(arguments: [
        ("łódź", "Żółta ŁÓDŹ"), ("ŻÓŁTA", "Żółta ŁÓDŹ"), ("ół", "Żółta ŁÓDŹ"), ("🚀", "go 🚀 now"), ("🚀 NOW", "go 🚀 now"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"), ("ΣΊΣΥΦΟΣ", "Σίσυφος"), ("kelvin", "273 \u{212A}elvin"), ("ПРИВЕТ", "привет, мир"),
        ("ß", "Straße"), ("straẞe", "Straße"), ("数据平", "数据平台"), ("数", "数据平台"), ("naïve", "NAÏVE"),
    ])
    func caseIsFoldedInEveryScript(query: String, name: String) async throws {
        let store = try await store(projects: [("other", ""), (name, "")])
        #expect(try await names(store, query) == [name])
    }

    @Test(arguments: [("ss", "Straße"), ("naive", "naïve"), ("i", "ı"), ("lodz", "ŁÓDŹ")])
    func whatOnlyLooksAlikeIsNotFound(query: String, name: String) async throws {
        let store = try await store(projects: [(name, "")])
        #expect(try await names(store, query).isEmpty)
    }

    @Test(arguments: [
        ("%", "100% done_ok"), ("_", "100% done_ok"), ("0%", "100% done_ok"), ("done_ok", "100% done_ok"),
        ("e_o", "100% done_ok"), ("\" and \\", "Quote \" and \\ backslash"), ("\"", "Quote \" and \\ backslash"),
        ("*", "star * star"), ("ar * st", "star * star"), ("'; DROP", "'; DROP TABLE project; --"),
        ("name : x", "name : x"), ("{name}", "{name}"), ("NEAR(a b)", "near(a b)"), ("   ", "a   b"),
    ])
    func everyCharacterIsLiteral(query: String, name: String) async throws {
        let decoys = ["percent", "underscore", "star star", "near a b", "a b"]
        let store = try await store(projects: decoys.map { ($0, "") } + [(name, "")])
        #expect(try await names(store, query) == [name])
    }

    @Test(arguments: ["\0", "urgent\0", "\0urgent", "ur\0gent"])
    func nulIsACharacterLikeAnyOther(query: String) async throws {
        let store = try await store(projects: [("urgent", "")])
        #expect(try await names(store, query).isEmpty)
        try await store.write { db in
            try db.execute(
                sql: "INSERT INTO project (id, name) VALUES (50, CAST(? AS TEXT))",
                arguments: [VerbatimText.bind("<\(query)>")])
        }
        #expect(try await names(store, query) == ["<\(query)>"])
    }

    @Test func aQueryOfSixtyThousandBytesIsComparedWhole() async throws {
        let long = String(repeating: "0123456789", count: 6000)
        let store = try await store(projects: [(long, ""), (long + "x", ""), ("0123456789", "")])
        #expect(try await names(store, long + "X") == [long + "x"])
        #expect(try await names(store, long).count == 2)
        #expect(try await names(store, String(repeating: "%", count: 60_000)).isEmpty)
    }

    @Test func theEmptyQueryMatchesEverything() async throws {
        let store = try await store(projects: [("a", ""), ("b", "")])
        #expect(try await names(store, "") == ["a", "b"])
    }

    @Test func changedAndDeletedRowsAreFoundAsTheyAre() async throws {
        let store = try await store(projects: [("first name", ""), ("second name", "")])
        try await store.write { db in
            try db.execute(sql: "UPDATE project SET name = 'renamed' WHERE id = 1")
            try db.execute(sql: "DELETE FROM project WHERE id = 2")
        }
        #expect(try await names(store, "name") == ["renamed"])
        #expect(try await names(store, "first").isEmpty)
        #expect(try await names(store, "renam") == ["renamed"])
        try await store.write { db in
            try db.execute(sql: "INSERT INTO project_trigram(project_trigram) VALUES ('integrity-check')")
        }
    }

    @Test(arguments: ["nope", "Projects", "", "project", "projects; --"])
    func unknownModelsAreNil(model: String) async throws {
        let store = try await store(projects: [("a", "")])
        #expect(try await store.search(model: model, query: "a", columns: .all, limit: 5) == nil)
    }

    @Test func theIndexFoldsExactlyAsTheScanDoes() async throws {
        // Every scalar that folds to another: a row with the one is found by the other, through the index.
        let folding = (UInt32(0x80)...0x1_FFFF).compactMap(Unicode.Scalar.init).filter { CaseFolding.fold($0) != $0 }
        #expect(folding.count > 1000)
        let store = try await store(projects: folding.map { ("x<\(Character($0))>y", "") })
        for (index, scalar) in folding.enumerated() {
            let query = "X<\(Character(CaseFolding.fold(scalar)))>Y"
            let hits = try await store.search(model: "projects", query: query, columns: .all, limit: 5) ?? []
            #expect(hits.contains { $0.url == "/psm/project/\(index + 1)/" }, "\(scalar.value)")
        }
    }

    @Test func documentsAreFoundWithTheirOwnURLs() async throws {
        let store = try SQLiteStore(at: .memory)
        try await store.insertDocument(Document(title: "Leave", body: "28 days"))
        try await store.insertDocument(Document(title: "Travel", url: "https://wiki.example/travel", body: "28 trains"))
        #expect(
            try await store.search(model: "documents", query: "28", columns: .all, limit: 5) == [
                SearchHit(name: "Leave", url: "/ai/document/1/"),
                SearchHit(name: "Travel", url: "https://wiki.example/travel"),
            ])
    }
}
