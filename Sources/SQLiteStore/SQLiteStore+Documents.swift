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
                sql: "INSERT INTO passage (document_id, title, text) VALUES (?, ?, ?)",
                arguments: [id, document.title, text])
        }
        return id
    }

    package func passages(matching question: String, limit: Int) async throws -> [Passage] {
        let words = QuestionWords(question)
        guard !words.isEmpty else { return [] }
        let pattern = words.expression
        return try await read { db in
            // A word in the title says more about a passage than one in its text.
            try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT document.title, document.url, passage.text
                        FROM passage_words
                        JOIN passage ON passage.id = passage_words.rowid
                        JOIN document ON document.id = passage.document_id
                        WHERE passage_words MATCH ?
                        ORDER BY bm25(passage_words, 3.0, 1.0), passage.id LIMIT ?
                        """),
                arguments: [pattern, limit]
            ).map { Passage(title: $0["title"], url: $0["url"], text: $0["text"]) }
        }
    }

    package func documentTitles(limit: Int) async throws -> [SearchHit] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT title, url FROM document ORDER BY id LIMIT ?", arguments: [limit])
                .map { SearchHit(name: $0["title"], url: $0["url"]) }
        }
    }
}
