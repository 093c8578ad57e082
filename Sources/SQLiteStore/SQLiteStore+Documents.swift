import Foundation
import GRDB
package import Store

extension SQLiteStore {
    static func insert(_ document: Document, in db: Database) throws -> Int64 {
        try db.execute(
            sql: "INSERT INTO document (title, url, body) VALUES (?, ?, ?)",
            arguments: [document.title, document.url, document.body])
        let id = db.lastInsertedRowID
        if document.url.isEmpty {
            try db.execute(sql: "UPDATE document SET url = '/ai/document/' || id || '/' WHERE id = ?", arguments: [id])
        }
        for text in document.body.paragraphs {
            try db.execute(
                sql: "INSERT INTO passage (document_id, title, text, grams) VALUES (?, ?, ?, ?)",
                arguments: [id, document.title, text, grams(title: document.title, text: text)])
        }
        return id
    }

    package func passages(matching question: String, limit: Int) async throws -> [Passage] {
        let words = QuestionWords(question)
        let (grams, byWords, byGrams) = try await read { db in
            var grams = QuestionGrams(question)
            grams.add(try words.list.filter { try !Self.isKnown($0, db) })
            // Where words suffice for the question, their index alone determines the order.
            let count = grams.isEmpty ? limit : PassageRanking.candidates(limit)
            return (
                grams, try Self.candidates(words.expression, in: "passage_words", count, db),
                try Self.candidates(grams.expression, in: "passage_grams", count, db)
            )
        }
        return PassageRanking.merged(words: byWords, grams: byGrams, grams, limit: limit)
    }

    /// Returns whether a word occurs in any passage.
    private static func isKnown(_ word: String, _ db: Database) throws -> Bool {
        try Int.fetchOne(
            db.cachedStatement(sql: "SELECT 1 FROM passage_words WHERE passage_words MATCH ? LIMIT 1"),
            arguments: ["\"\(word)\""]) != nil
    }

    /// Returns the passages that an index finds, best first.
    private static func candidates(
        _ expression: String, in index: String, _ limit: Int, _ db: Database
    ) throws -> [PassageCandidate] {
        guard !expression.isEmpty else { return [] }
        // A word in the title weighs more than one in the text. A gram weighs less than a word.
        let rank = index == "passage_words" ? "-bm25(passage_words, 3.0, 1.0)" : "-0.4 * bm25(passage_grams)"
        return try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT passage.id, document.title, document.url, passage.text, \(rank) AS fit
                    FROM \(index)
                    JOIN passage ON passage.id = \(index).rowid
                    JOIN document ON document.id = passage.document_id
                    WHERE \(index) MATCH ?
                    ORDER BY fit DESC, passage.id LIMIT ?
                    """),
            arguments: [expression, limit]
        ).map { row in
            PassageCandidate(
                id: row.integer("id"),
                passage: Passage(title: row.text("title"), url: row.text("url"), text: row.text("text")),
                rank: (row["fit"] as DatabaseValue).real)
        }
    }

    package func documentTitles(limit: Int) async throws -> [SearchHit] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT title, url FROM document ORDER BY id LIMIT ?", arguments: [limit])
                .map { SearchHit(name: $0.text("title"), url: $0.text("url")) }
        }
    }
}
