import GRDB
package import Store

extension SQLiteStore {
    package func documents(after id: Int64, limit: Int) async throws -> [DocumentSummary] {
        try await read { db in
            try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT id, title, length(CAST(body AS BLOB)) AS bytes FROM document
                        WHERE id > ? ORDER BY id LIMIT ?
                        """),
                arguments: [id, limit]
            ).map { DocumentSummary(id: $0.integer("id"), title: $0.text("title"), bytes: $0.count("bytes")) }
        }
    }

    package func document(id: Int64) async throws -> Document? {
        try await read { db in
            try Row.fetchOne(
                db.cachedStatement(sql: "SELECT title, url, body FROM document WHERE id = ?"), arguments: [id]
            ).map { Document(title: $0.text("title"), url: $0.text("url"), body: $0.text("body")) }
        }
    }
}
