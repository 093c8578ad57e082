import Foundation
import GRDB

extension SQLiteStore {
    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO message (user_id, message, response, at)
                    VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?)
                    """,
                arguments: [
                    userID, VerbatimText.bind(message.message), VerbatimText.bind(message.response),
                    message.at.milliseconds,
                ])
        }
    }

    package func messages(userID: String, limit: Int) async throws -> [StoredMessage] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT CAST(message AS BLOB) AS message, CAST(response AS BLOB) AS response, at
                    FROM message WHERE user_id = ? ORDER BY at DESC, id DESC LIMIT ?
                    """,
                arguments: [userID, limit]
            ).map { row in
                StoredMessage(
                    message: VerbatimText.read(row["message"]), response: VerbatimText.read(row["response"]),
                    at: Date(milliseconds: row["at"]))
            }
        }
    }
}
