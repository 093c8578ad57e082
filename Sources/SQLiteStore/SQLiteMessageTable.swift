import Foundation
import GRDB
import Store

/// Statements for a table of messages in SQLite, internal or external. Names are quoted where necessary.
struct SQLiteMessageTable: Sendable {
    let name: String
    let id: String
    let user: String
    let message: String
    let response: String
    let at: String

    /// Stores an exchange, with the user's key and the instant in the table's own form.
    func insert(_ exchange: StoredMessage, user key: String, at instant: DatabaseValue, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO \(name) (\(user), \(message), \(response), \(at))
                VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?)
                """,
            arguments: [key, VerbatimText.bind(exchange.message), VerbatimText.bind(exchange.response), instant])
    }

    /// Returns a page of the user's exchanges, newest first.
    ///
    /// The page's rows are selected by their keys alone, and their texts are cut while they are read, so that no row
    /// costs more than the page may hold.
    /// - Parameter instant: Reads ``at``.
    func page(
        user key: String, within bounds: MessagePageBounds, after: PagePosition?, _ db: Database,
        instant: (DatabaseValue) -> Date
    ) throws -> MessagePage {
        let order = KeysetOrder(
            terms: [.init(expression: at, descending: true), .init(expression: id, descending: true)], isTotal: true)
        var arguments: StatementArguments = [
            "user": key, "rows": bounds.rows + 1, "half": bounds.half, "exchange": bounds.exchange,
        ]
        var condition = "\(user) = :user"
        if let after {
            let (following, values) = try order.condition(after: after)
            condition += " AND \(following)"
            arguments += values
        }
        let sql = """
            SELECT \(cut(message, beside: response)), \(cut(response, beside: message)),
                \(length(message)), \(length(response)), \(at), \(order.columns.joined(separator: ", "))
            FROM \(name)
            WHERE \(id) IN (SELECT \(id) FROM \(name) WHERE \(condition) ORDER BY \(order.clause) LIMIT :rows)
            ORDER BY \(order.clause)
            """
        let rows = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: arguments)
        var messages: [StoredMessage] = []
        var (bytes, last) = (0, PagePosition?.none)
        while let row = try rows.next() {
            let (message, response) = (row.bytes(0), row.bytes(1))
            let (size, isOver) = bytes.addingReportingOverflow(message.count + response.count)
            guard messages.count < bounds.rows, messages.isEmpty || (!isOver && size <= bounds.bytes) else {
                return MessagePage(messages: messages, next: last)
            }
            bytes = size
            messages.append(
                StoredMessage(
                    message: message, response: response,
                    storedBytes: .init(message: row.count(2), response: row.count(3)),
                    at: instant(row[4] as DatabaseValue)))
            last = order.position(of: row, at: 5)
        }
        return MessagePage(messages: messages, next: nil)
    }

    /// Returns the expression for a text as far as a page holds it: half of the size, and what the other text does not
    /// need.
    private func cut(_ column: String, beside other: String) -> String {
        "substr(CAST(\(column) AS BLOB), 1, max(:half, :exchange - \(length(other))))"
    }

    private func length(_ column: String) -> String { "coalesce(length(CAST(\(column) AS BLOB)), 0)" }

    /// Removes all of the user's exchanges; returns their number.
    func delete(user key: String, _ db: Database) throws -> Int {
        try db.execute(sql: "DELETE FROM \(name) WHERE \(user) = ?", arguments: [key])
        return db.changesCount
    }
}
