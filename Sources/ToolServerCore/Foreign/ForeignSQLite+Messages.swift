import Foundation
import GRDB

extension ForeignSQLite {
    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        guard let table = tables.messages, let writer, let id = DjangoIdentity.userID(ofPrincipal: userID) else {
            throw StoreError(.unsupported, "database: no table takes this user's messages")
        }
        let columns = [table.user, table.message, table.response, table.createdAt].map { "\(SQLIdentifier($0))" }
        let sql = """
            INSERT INTO \(SQLIdentifier(table.table)) (\(columns.joined(separator: ", ")))
            VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?)
            """
        do {
            try await writer.write { db in
                try db.execute(
                    sql: sql,
                    arguments: [
                        Self.storedID(id), VerbatimText.bind(message.message), VerbatimText.bind(message.response),
                        DjangoTimestamp.text(message.at),
                    ])
            }
        } catch {
            throw SQLiteStore.translate(error)
        }
    }

    package func messages(userID: String, limit: Int) async throws -> [StoredMessage] {
        guard let table = tables.messages, let id = DjangoIdentity.userID(ofPrincipal: userID) else { return [] }
        let (message, response) = (SQLIdentifier(table.message), SQLIdentifier(table.response))
        let at = SQLIdentifier(table.createdAt)
        let sql = """
            SELECT CAST(\(message) AS BLOB), CAST(\(response) AS BLOB), \(at) FROM \(SQLIdentifier(table.table))
            WHERE \(SQLIdentifier(table.user)) = ? ORDER BY \(at) DESC, \(SQLIdentifier(table.id)) DESC LIMIT ?
            """
        return try await read { db in
            try Row.fetchAll(db.cachedStatement(sql: sql), arguments: [Self.storedID(id), limit]).map { row in
                StoredMessage(
                    message: (row[0] as Data?).map(VerbatimText.read) ?? "",
                    response: (row[1] as Data?).map(VerbatimText.read) ?? "",
                    // A date that nobody can read must not hide what was said.
                    at: (row[2] as String?).flatMap(DjangoTimestamp.date) ?? Date(timeIntervalSince1970: 0))
            }
        }
    }
}
