package import Foundation

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
        let order = PostgreSQLOrder(
            terms: [
                .init(expression: "message.at", descending: true, isNullable: false),
                .init(expression: "message.id", descending: true, isNullable: false),
            ], isTotal: true)
        var parameters = PostgreSQLParameters()
        var condition = "user_id = \(parameters.bind(.text(userID)))"
        if let after { condition += " AND " + (try order.condition(after: after, &parameters)) }
        let count = parameters.bind(.integer(Int64(limit + 1)))
        let sql = """
            SELECT message.message, response, at, at::text, id::text FROM message
            WHERE \(condition) ORDER BY \(order.clause) LIMIT \(count)
            """
        let values = parameters.values
        try await prepare()
        let rows = try await Self.translating(isLater: after != nil) {
            try await pool.run { connection in
                try connection.rows(sql, values) { (Self.message($0), order.position(of: $0, at: 3)) }
            }
        }
        let page = rows.prefix(limit)
        return MessagePage(messages: page.map(\.0), next: rows.count > page.count ? page.last?.1 : nil)
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

    private static func message(_ row: PostgreSQLRow) -> StoredMessage {
        StoredMessage(
            message: String(decoding: row.bytes(0) ?? [], as: UTF8.self),
            response: String(decoding: row.bytes(1) ?? [], as: UTF8.self), at: Date(milliseconds: row.integer(2)))
    }
}
