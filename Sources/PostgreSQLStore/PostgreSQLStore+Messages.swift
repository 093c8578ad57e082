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

    package func messages(userID: String, limit: Int, after: PagePosition?) async throws -> MessagePage {
        try await prepare()
        return try await PostgreSQLMessagePage(
            columns: "message.message, response, at", of: "message", user: "user_id", instant: "message.at",
            isInstantNullable: false, id: "message.id", read: Self.message
        ).messages(of: userID, limit: limit, after: after, on: pool)
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

    @Sendable private static func message(_ row: PostgreSQLRow) -> StoredMessage {
        StoredMessage(
            message: String(decoding: row.bytes(0) ?? [], as: UTF8.self),
            response: String(decoding: row.bytes(1) ?? [], as: UTF8.self), at: Date(milliseconds: row.integer(2)))
    }
}
