import Foundation
import GRDB
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import SQLiteStore
@testable import Store

/// Documents are found in any language, on each engine.
@Suite struct DocumentLanguageTests {
    private func store(_ engine: Engine) async throws -> any InternalStore {
        let store = try await engine.store()
        for document in LanguageCorpus.documents {
            _ = try await store.putDocument(
                Document(title: document.title, body: document.passages.joined(separator: "\n\n")))
        }
        return store
    }

    /// By words alone, 26 (SQLite) and 20 (PostgreSQL) of the 51 questions found their passage among the first three; with
    /// grams, all of them do.
    @Test(arguments: Engine.allCases)
    func nearlyEveryQuestionFindsItsPassage(engine: Engine) async throws {
        let store = try await store(engine)
        var missed: [String: [String]] = [:]
        var first = 0
        for question in LanguageCorpus.questions {
            let passages = try await store.passages(matching: question.text, limit: 3)
            if passages.first?.text.hasPrefix(question.answer) == true { first += 1 }
            if !passages.contains(where: { $0.text.hasPrefix(question.answer) }) {
                missed[question.language, default: []].append(question.text)
            }
        }
        let count = LanguageCorpus.questions.count
        let found = count - missed.values.reduce(0) { $0 + $1.count }
        print("\(engine): \(found) of \(count) among the first three, \(first) first; missed \(missed)")
        #expect(count >= 40)
        #expect(Set(LanguageCorpus.questions.map(\.language)).count == 8)
        #expect(found * 100 >= count * 95, "missed: \(missed)")
        #expect(first * 100 >= count * 85)
        // No language may be left behind.
        #expect(missed.values.allSatisfy { $0.count <= 1 }, "missed: \(missed)")
    }

    @Test(arguments: Engine.allCases, LanguageCorpus.unrelated)
    func whatIsInNoPassageFindsNone(engine: Engine, question: String) async throws {
        #expect(try await store(engine).passages(matching: question, limit: 3).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func aRemovedDocumentIsNotFound(engine: Engine) async throws {
        let store = try await engine.store()
        let id = try await store.putDocument(Document(title: "休假", body: "年假28天。")).id
        #expect(try await store.passages(matching: "年假", limit: 3).count == 1)
        #expect(try await store.removeDocument(id: id))
        #expect(try await store.passages(matching: "年假", limit: 3).isEmpty)
    }

    @Test func passagesOfBeforeAreFoundInSQLite() async throws {
        let files = try TemporaryDatabase()
        let old = try SQLiteStore(at: .file(files.path))
        _ = try await old.putDocument(Document(title: "休假", body: "年假28天。"))
        try await old.write { db in
            try db.execute(
                sql: """
                    DROP TRIGGER passage_grams_insert;
                    DROP TRIGGER passage_grams_delete;
                    DROP TRIGGER passage_grams_update;
                    DROP TABLE passage_grams;
                    ALTER TABLE passage DROP COLUMN grams;
                    DELETE FROM grdb_migrations WHERE identifier = '6 grams of passages';
                    """)
        }
        try await old.close()
        let store = try SQLiteStore(at: .file(files.path))
        #expect(try await store.passages(matching: "年假", limit: 3).map(\.text) == ["年假28天。"])
    }

    @Test func passagesOfBeforeAreFoundInPostgreSQL() async throws {
        let location = try PostgreSQLLocation(parsing: await PostgreSQLServer.shared().urlOfNewSchema())
        let old = try await PostgreSQLStore(at: location, settings: .test)
        _ = try await old.putDocument(Document(title: "休假", body: "年假28天。"))
        try await old.change("ALTER TABLE passage DROP COLUMN grams")
        // The steps after it are made again too.
        try await old.change(
            "DROP TABLE oauth_token, oauth_code, oauth_grant, oauth_client, oauth_key, token_usage CASCADE")
        try await old.change("DELETE FROM tool_server_schema WHERE version > 2")
        try await old.close()
        let store = try await PostgreSQLStore(at: location, settings: .test)
        #expect(try await store.passages(matching: "年假", limit: 3).map(\.text) == ["年假28天。"])
    }

    @Test(arguments: Engine.allCases, ["年", "ก", "\u{E33}\u{E49}", "'", "年'假", "\\", "🚀年", "ｖｐｎ"])
    func anyQuestionIsAnswered(engine: Engine, piece: String) async throws {
        let store = try await store(engine)
        _ = try await store.passages(matching: piece, limit: 3)
        _ = try await store.passages(matching: String(repeating: piece, count: 100_000), limit: 3)
    }

    @Test(arguments: Engine.allCases)
    func anyPassageIsStored(engine: Engine) async throws {
        let store = try await engine.store()
        var letters = String.UnicodeScalarView()
        for value in UInt32(0x4E00)..<0x9F00 {
            if let scalar = Unicode.Scalar(value) { letters.append(scalar) }
        }
        let body = String(letters)
        _ = try await store.putDocument(Document(title: "字", body: body + String(body.reversed()) + body))
        #expect(try await store.passages(matching: "一丁", limit: 1).count == 1)
    }

    /// Marks without end are no work without end; the limit stands for "ever".
    @Test(.timeLimit(.minutes(1 * Sanitizer.slowness)))
    func marksDoNotAddUp() {
        let marks = String(repeating: "\u{301}\u{323}", count: 49_000)
        for _ in 0..<50 { #expect(TextGrams.indexed("a" + marks + "b") == ["ab"]) }
    }

    @Test(arguments: [
        ("年休は", ["年", "休", "は", "年休", "休は", "年休は"]), ("Grüße!", ["gru", "ruß", "uße"]), ("AI", ["ai"]),
        ("ＶＰＮ接続", ["vpn", "接", "続", "接続"]), ("", []), ("…", []), ("ลา", ["ลา"]),
    ])
    func gramsAreNeighbouringLetters(text: String, grams: [String]) {
        #expect(TextGrams.indexed(text) == grams)
    }
}
