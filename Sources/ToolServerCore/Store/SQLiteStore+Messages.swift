package import Foundation
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

    package func messages(userID: String, limit: Int, after: PagePosition?) async throws -> MessagePage {
        let order = KeysetOrder(
            terms: [.init(expression: "at", descending: true), .init(expression: "id", descending: true)],
            isTotal: true)
        var arguments: StatementArguments = ["user": userID, "limit": limit + 1]
        var condition = "user_id = :user"
        if let after {
            let (following, values) = try order.condition(after: after)
            condition += " AND \(following)"
            arguments += values
        }
        let sql = """
            SELECT CAST(message AS BLOB), CAST(response AS BLOB), at, \(order.columns.joined(separator: ", "))
            FROM message WHERE \(condition) ORDER BY \(order.clause) LIMIT :limit
            """
        return try await read { [arguments] db in
            let rows = try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
            let page = rows.prefix(limit)
            return MessagePage(
                messages: page.map { row in
                    StoredMessage(
                        message: VerbatimText.read(row[0]), response: VerbatimText.read(row[1]),
                        at: Date(milliseconds: row[2]))
                },
                next: rows.count > page.count ? page.last.map { order.position(of: $0, at: 3) } : nil)
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
        try await write { db in
            try db.execute(sql: "DELETE FROM message WHERE user_id = ?", arguments: [userID])
            return db.changesCount
        }
    }
}
