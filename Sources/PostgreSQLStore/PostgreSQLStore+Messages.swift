package import Foundation
package import Store

extension PostgreSQLStore {
    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        try await write { connection in
            try connection.execute(
                "INSERT INTO message (user_id, message, response, at) VALUES ($1, $2, $3, $4)",
                [
                    .text(userID), .bytes(Array(message.message.utf8)), .bytes(Array(message.response.utf8)),
                    .integer(message.at.milliseconds),
                ])
        }
    }

    package func messages(
        userID: String, within bounds: MessagePageBounds, after: PagePosition?
    ) async throws -> MessagePage {
        try await prepare()
        return try await PostgreSQLMessagePage(
            table: "message", user: "user_id", message: "message.message", response: "message.response",
            areTexts: false, milliseconds: "message.at", instant: "message.at", isInstantNullable: false,
            id: "message.id"
        ).messages(of: userID, within: bounds, after: after, on: pool)
    }

    package func deleteMessages(before date: Date, limit: Int) async throws -> Int {
        try await write { connection in
            try connection.execute(
                """
                DELETE FROM message WHERE id IN (SELECT id FROM message WHERE at < $1 ORDER BY at, id LIMIT $2)
                """, [.instant(date), .integer(Int64(limit))])
        }
    }

    package func deleteMessages(userID: String) async throws -> Int {
        try await write { connection in
            try connection.execute("DELETE FROM message WHERE user_id = $1", [.text(userID)])
        }
    }
}
