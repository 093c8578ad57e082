import Foundation
import GRDB
package import Store

extension SQLiteStore: DocumentLibrary {
    @discardableResult
    package func putDocument(_ document: Document) async throws -> (id: Int64, replaced: Int) {
        try await write { db in
            var replaced = 0
            if !document.url.isEmpty {
                try db.execute(sql: "DELETE FROM document WHERE url = ?", arguments: [document.url])
                replaced = db.changesCount
            }
            return (try Self.insert(document, in: db), replaced)
        }
    }

    package func listDocuments() async throws -> [DocumentEntry] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT id, title, url, (SELECT COUNT(*) FROM passage WHERE document_id = document.id) AS passages
                    FROM document ORDER BY id
                    """
            ).map { row in
                DocumentEntry(
                    id: row.integer("id"), title: row.text("title"), url: row.text("url"),
                    passages: row.count("passages"))
            }
        }
    }

    package func removeDocument(id: Int64) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM document WHERE id = ?", arguments: [id])
            return db.changesCount > 0
        }
    }
}
