import GRDB
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct SearchTests {
    private func names(
        _ store: any InternalStore, _ query: String, columns: SearchColumns = .all, limit: Int = 5
    ) async throws -> [String] {
        try #require(await store.search(model: "projects", query: query, columns: columns, limit: limit)).map(\.name)
    }

    @Test(arguments: Engine.allCases)
    func theFirstMatchesInIDOrderAreFound(engine: Engine) async throws {
        let store = try await engine.store(projects: (1...20).map { ("Urgent \($0)", "") })
        #expect(try await names(store, "urgent") == (1...5).map { "Urgent \($0)" })
        #expect(try await names(store, "ur") == (1...5).map { "Urgent \($0)" })
        let hits = try await store.search(model: "projects", query: "Urgent 12", columns: .all, limit: 5)
        #expect(hits == [SearchHit(name: "Urgent 12", url: "/psm/project/12/")])
    }

    @Test(arguments: Engine.allCases)
    func otherColumnsAreSearchedOnlyWhenAsked(engine: Engine) async throws {
        let store = try await engine.store(projects: [("Alpha", "planned for Q2"), ("Beta planned", "")])
        #expect(try await names(store, "planned") == ["Alpha", "Beta planned"])
        #expect(try await names(store, "planned", columns: .display) == ["Beta planned"])
        #expect(try await names(store, "pl", columns: .display) == ["Beta planned"])
    }

    @Test(arguments: Engine.allCases)
    func aMatchNeverSpansTwoColumns(engine: Engine) async throws {
        let store = try await engine.store(projects: [("abc", "def")])
        #expect(try await names(store, "cde").isEmpty)
        #expect(try await names(store, "bcdef").isEmpty)
    }

    @Test(
        arguments: Engine.allCases,
        [
            ("łódź", "Żółta ŁÓDŹ"), ("ŻÓŁTA", "Żółta ŁÓDŹ"), ("ół", "Żółta ŁÓDŹ"), ("🚀", "go 🚀 now"),
            ("🚀 NOW", "go 🚀 now"),
            ("σίσυφος", "ΣΊΣΥΦΟΣ"), ("ΣΊΣΥΦΟΣ", "Σίσυφος"), ("kelvin", "273 \u{212A}elvin"), ("ПРИВЕТ", "привет, мир"),
            ("ß", "Straße"), ("straẞe", "Straße"), ("数据平", "数据平台"), ("数", "数据平台"), ("naïve", "NAÏVE"),
        ])
    func caseIsFoldedInEveryScript(engine: Engine, example: (String, String)) async throws {
        let (query, name) = example
        let store = try await engine.store(projects: [("other", ""), (name, "")])
        #expect(try await names(store, query) == [name])
    }

    @Test(arguments: Engine.allCases, [("ss", "Straße"), ("naive", "naïve"), ("i", "ı"), ("lodz", "ŁÓDŹ")])
    func whatOnlyLooksAlikeIsNotFound(engine: Engine, example: (String, String)) async throws {
        let (query, name) = example
        let store = try await engine.store(projects: [(name, "")])
        #expect(try await names(store, query).isEmpty)
    }

    @Test(
        arguments: Engine.allCases,
        [
            ("%", "100% done_ok"), ("_", "100% done_ok"), ("0%", "100% done_ok"), ("done_ok", "100% done_ok"),
            ("e_o", "100% done_ok"), ("\" and \\", "Quote \" and \\ backslash"), ("\"", "Quote \" and \\ backslash"),
            ("*", "star * star"), ("ar * st", "star * star"), ("'; DROP", "'; DROP TABLE project; --"),
            ("name : x", "name : x"), ("{name}", "{name}"), ("NEAR(a b)", "near(a b)"), ("   ", "a   b"),
        ])
    func everyCharacterIsLiteral(engine: Engine, example: (String, String)) async throws {
        let (query, name) = example
        let decoys = ["percent", "underscore", "star star", "near a b", "a b"]
        let store = try await engine.store(projects: decoys.map { ($0, "") } + [(name, "")])
        #expect(try await names(store, query) == [name])
    }

    @Test(arguments: Engine.allCases, ["\0", "urgent\0", "\0urgent", "ur\0gent"])
    func nulIsACharacterLikeAnyOther(engine: Engine, query: String) async throws {
        let store = try await engine.store(projects: [("urgent", "")])
        #expect(try await names(store, query).isEmpty)
        // PostgreSQL stores none.
        guard let store = store as? SQLiteStore else { return }
        try await store.write { db in
            try db.execute(
                sql: "INSERT INTO project (id, name) VALUES (50, CAST(? AS TEXT))",
                arguments: [VerbatimText.bind("<\(query)>")])
        }
        #expect(try await names(store, query) == ["<\(query)>"])
    }

    @Test(arguments: Engine.allCases)
    func aQueryOfSixtyThousandBytesIsComparedWhole(engine: Engine) async throws {
        let long = String(repeating: "0123456789", count: 6000)
        let store = try await engine.store(projects: [(long, ""), (long + "x", ""), ("0123456789", "")])
        #expect(try await names(store, long + "X") == [long + "x"])
        #expect(try await names(store, long).count == 2)
        #expect(try await names(store, String(repeating: "%", count: 60_000)).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func theEmptyQueryMatchesEverything(engine: Engine) async throws {
        let store = try await engine.store(projects: [("a", ""), ("b", "")])
        #expect(try await names(store, "") == ["a", "b"])
    }

    @Test(arguments: Engine.allCases)
    func changedAndDeletedRowsAreFoundAsTheyAre(engine: Engine) async throws {
        let store = try await engine.store(projects: [("first name", ""), ("second name", "")])
        try await store.change("UPDATE project SET name = 'renamed' WHERE id = 1")
        try await store.change("DELETE FROM project WHERE id = 2")
        #expect(try await names(store, "name") == ["renamed"])
        #expect(try await names(store, "first").isEmpty)
        #expect(try await names(store, "renam") == ["renamed"])
        guard let store = store as? SQLiteStore else { return }
        try await store.write { db in
            try db.execute(sql: "INSERT INTO project_trigram(project_trigram) VALUES ('integrity-check')")
        }
    }

    @Test(arguments: Engine.allCases, ["nope", "Projects", "", "project", "projects; --"])
    func unknownModelsAreNil(engine: Engine, model: String) async throws {
        let store = try await engine.store(projects: [("a", "")])
        #expect(try await store.search(model: model, query: "a", columns: .all, limit: 5) == nil)
    }

    @Test(arguments: Engine.allCases)
    func theIndexFoldsExactlyAsTheScanDoes(engine: Engine) async throws {
        // Every scalar that folds to another: a row with the one is found by the other, through the index.
        let folding = (UInt32(0x80)...0x1_FFFF).compactMap(Unicode.Scalar.init).filter { CaseFolding.fold($0) != $0 }
        #expect(folding.count > 1000)
        let store = try await engine.store(projects: folding.map { ("x<\(Character($0))>y", "") })
        for (index, scalar) in folding.enumerated() {
            let query = "X<\(Character(CaseFolding.fold(scalar)))>Y"
            let hits = try await store.search(model: "projects", query: query, columns: .all, limit: 5) ?? []
            #expect(hits.contains { $0.url == "/psm/project/\(index + 1)/" }, "\(scalar.value)")
        }
    }

    @Test(arguments: Engine.allCases)
    func documentsAreFoundWithTheirOwnURLs(engine: Engine) async throws {
        let store = try await engine.store()
        try await store.putDocument(Document(title: "Leave", body: "28 days"))
        try await store.putDocument(Document(title: "Travel", url: "https://wiki.example/travel", body: "28 trains"))
        #expect(
            try await store.search(model: "documents", query: "28", columns: .all, limit: 5) == [
                SearchHit(name: "Leave", url: "/ai/document/1/"),
                SearchHit(name: "Travel", url: "https://wiki.example/travel"),
            ])
    }

    @Test(arguments: Engine.allCases)
    func aDottedCapitalIFoldsToItselfAlone(engine: Engine) async throws {
        let store = try await engine.store(projects: [("İstanbul", ""), ("istanbul", ""), ("ISTANBUL", "")])
        func names(_ query: String) async throws -> [String]? {
            try await store.search(model: "projects", query: query, columns: .all, limit: 9)?.map(\.name)
        }
        #expect(try await names("İ") == ["İstanbul"])
        #expect(try await names("İSTANBUL") == ["İstanbul"])
        #expect(try await names("i") == ["istanbul", "ISTANBUL"])
        #expect(try await names("STANBUL") == ["İstanbul", "istanbul", "ISTANBUL"])
    }
}
