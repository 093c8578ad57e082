package import Foundation
import GRDB
package import Store

extension SQLiteStore {
    private static let messageTable = SQLiteMessageTable(
        name: "message", id: "id", user: "user_id", message: "message", response: "response", at: "at")

    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        try await write { db in
            try Self.messageTable.insert(message, user: userID, at: message.at.milliseconds.databaseValue, db)
        }
    }

    package func messages(
        userID: String, within bounds: MessagePageBounds, after: PagePosition?
    ) async throws -> MessagePage {
        try await read { db in
            try Self.messageTable.page(user: userID, within: bounds, after: after, db) { value in
                Date(milliseconds: value.integer)
            }
        }
    }

    package func deleteMessages(before date: Date, limit: Int) async throws -> Int {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE at < ? ORDER BY at, id LIMIT ?)",
                arguments: [date.milliseconds, limit])
            return db.changesCount
        }
    }

    package func deleteMessages(userID: String) async throws -> Int {
        try await write { db in try Self.messageTable.delete(user: userID, db) }
    }
}
