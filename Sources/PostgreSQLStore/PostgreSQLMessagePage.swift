import Foundation
import Store

/// One user's exchanges in a table of PostgreSQL, internal or external, newest first.
struct PostgreSQLMessagePage: Sendable {
    /// Name of the table, quoted where necessary.
    let table: String
    /// Column with the user's key.
    let user: String
    /// Expression of the message; that of the response has the same type.
    let message: String
    let response: String
    /// True if that type is `text`; otherwise it is `bytea` with UTF-8.
    let areTexts: Bool
    /// Expression of type `bigint` with the instant.
    let milliseconds: String
    let order: PostgreSQLOrder

    /// - Parameters:
    ///   - instant, id: Columns of ``table``, qualified: an unqualified name would mean the column of the result, which
    ///     is text.
    init(
        table: String, user: String, message: String, response: String, areTexts: Bool, milliseconds: String,
        instant: String, isInstantNullable: Bool, id: String
    ) {
        self.table = table
        self.user = user
        self.message = message
        self.response = response
        self.areTexts = areTexts
        self.milliseconds = milliseconds
        order = PostgreSQLOrder(
            terms: [
                .init(expression: instant, descending: true, isNullable: isInstantNullable),
                .init(expression: id, descending: true, isNullable: false),
            ], isTotal: true)
    }

    /// Returns a page within limits that the server already applies: texts are cut there, and rows beyond the page's
    /// size are not sent.
    func messages(
        of key: String, within bounds: MessagePageBounds, after: PagePosition?, on pool: PostgreSQLPool
    ) async throws -> MessagePage {
        var parameters = PostgreSQLParameters()
        let sql = try statement(of: key, within: bounds, after: after, &parameters)
        let values = parameters.values
        let rows = try await PostgreSQLStore.translating(isLater: after != nil) {
            try await pool.run { connection in
                try connection.rows(sql, values) { row in
                    (Self.message(row), order.position(of: row, at: 6), row.integer(5))
                }
            }
        }
        let page = rows.prefix(bounds.rows)
        // The last column counts the rows that were found, at most one more than wanted.
        let isLast = (rows.first?.2 ?? 0) <= Int64(page.count)
        return MessagePage(messages: page.map(\.0), next: isLast ? nil : page.last?.1)
    }

    private func statement(
        of key: String, within bounds: MessagePageBounds, after: PagePosition?, _ parameters: inout PostgreSQLParameters
    ) throws -> String {
        var condition = "\(user) = \(parameters.bind(.text(key)))"
        if let after { condition += " AND " + (try order.condition(after: after, &parameters)) }
        let keys = order.terms.enumerated().map { ($1.expression + "::text", "key\($0)") }
        let half = parameters.bind(.integer(Int64(clamping: bounds.half))) + "::bigint"
        let exchange = parameters.bind(.integer(Int64(clamping: bounds.exchange))) + "::bigint"
        let most = parameters.bind(.integer(Int64(clamping: bounds.bytes))) + "::bigint"
        let rows = parameters.bind(.integer(Int64(clamping: bounds.rows) + 1))
        func taken(_ text: String, _ other: String) -> String {
            "least(octet_length(\(text)), greatest(\(half), \(exchange) - octet_length(\(other))))::int"
        }
        // Converted last: a row that is left out costs no conversion.
        func bytes(_ text: String) -> String { areTexts ? "convert_to(\(text), 'UTF8')" : text }
        return """
            SELECT substring(\(bytes("message")) FROM 1 FOR taken_message),
                substring(\(bytes("response")) FROM 1 FOR taken_response),
                octet_length(message), octet_length(response), instant, found,
                \(keys.map(\.1).joined(separator: ", "))
            FROM (
                SELECT *, count(*) OVER () AS found,
                    sum(taken_message + taken_response) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS held
                FROM (
                    SELECT *, \(taken("message", "response")) AS taken_message,
                        \(taken("response", "message")) AS taken_response
                    FROM (
                        SELECT coalesce(\(message), '') AS message, coalesce(\(response), '') AS response,
                            \(milliseconds) AS instant, row_number() OVER (ORDER BY \(order.clause)) AS place,
                            \(keys.map { "\($0) AS \($1)" }.joined(separator: ", "))
                        FROM \(table) WHERE \(condition) ORDER BY \(order.clause) LIMIT \(rows)
                    ) AS newest
                ) AS measured
            ) AS page WHERE place = 1 OR held <= \(most) ORDER BY place
            """
    }

    private static func message(_ row: PostgreSQLRow) -> StoredMessage {
        StoredMessage(
            message: row.bytes(0) ?? [], response: row.bytes(1) ?? [],
            storedBytes: .init(
                message: Int(clamping: row.integer(2)), response: Int(clamping: row.integer(3))),
            at: Date(milliseconds: row.integer(4)))
    }
}
