import Foundation
import GRDB
import Store

/// The statements of a table of messages in SQLite, ours or somebody else's. Names are quoted where they need it.
struct SQLiteMessageTable: Sendable {
    let name: String
    let id: String
    let user: String
    let message: String
    let response: String
    let at: String

    /// Stores an exchange under the user's key and the instant as the table has them.
    func insert(_ exchange: StoredMessage, user key: String, at instant: DatabaseValue, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO \(name) (\(user), \(message), \(response), \(at))
                VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?)
                """,
            arguments: [key, VerbatimText.bind(exchange.message), VerbatimText.bind(exchange.response), instant])
    }

    /// A page of the user's exchanges, newest first.
    /// - Parameter instant: reads ``at``.
    func page(
        user key: String, limit: Int, after: PagePosition?, _ db: Database, instant: (DatabaseValue) -> Date
    ) throws -> MessagePage {
        let order = KeysetOrder(
            terms: [.init(expression: at, descending: true), .init(expression: id, descending: true)], isTotal: true)
        var arguments: StatementArguments = ["user": key, "limit": limit + 1]
        var condition = "\(user) = :user"
        if let after {
            let (following, values) = try order.condition(after: after)
            condition += " AND \(following)"
            arguments += values
        }
        let sql = """
            SELECT CAST(\(message) AS BLOB), CAST(\(response) AS BLOB), \(at), \(order.columns.joined(separator: ", "))
            FROM \(name) WHERE \(condition) ORDER BY \(order.clause) LIMIT :limit
            """
        let rows = try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
        let page = rows.prefix(limit)
        return MessagePage(
            messages: page.map { row in
                StoredMessage(
                    message: (row[0] as Data?).map(VerbatimText.read) ?? "",
                    response: (row[1] as Data?).map(VerbatimText.read) ?? "", at: instant(row[2]))
            },
            next: rows.count > page.count ? page.last.map { order.position(of: $0, at: 3) } : nil)
    }

    /// Removes all of the user's exchanges; returns how many.
    func delete(user key: String, _ db: Database) throws -> Int {
        try db.execute(sql: "DELETE FROM \(name) WHERE \(user) = ?", arguments: [key])
        return db.changesCount
    }
}
