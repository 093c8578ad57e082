package import Foundation
import GRDB

extension ForeignSQLite {
    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        guard let table = tables.messages, let writer = try connections.writer(),
            let id = DjangoIdentity.userID(ofPrincipal: userID)
        else {
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

    package func messages(userID: String, limit: Int, after: PagePosition?) async throws -> MessagePage {
        guard let table = tables.messages, let id = DjangoIdentity.userID(ofPrincipal: userID) else {
            return MessagePage(messages: [], next: nil)
        }
        let (message, response) = (SQLIdentifier(table.message), SQLIdentifier(table.response))
        let at = "\(SQLIdentifier(table.createdAt))"
        let order = KeysetOrder(
            terms: [
                .init(expression: at, descending: true),
                .init(expression: "\(SQLIdentifier(table.id))", descending: true),
            ], isTotal: true)
        var arguments: StatementArguments = ["user": Self.storedID(id), "limit": limit + 1]
        var condition = "\(SQLIdentifier(table.user)) = :user"
        if let after {
            let (following, values) = try order.condition(after: after)
            condition += " AND \(following)"
            arguments += values
        }
        let sql = """
            SELECT CAST(\(message) AS BLOB), CAST(\(response) AS BLOB), \(at),
                \(order.columns.joined(separator: ", "))
            FROM \(SQLIdentifier(table.table)) WHERE \(condition) ORDER BY \(order.clause) LIMIT :limit
            """
        return try await read { [arguments] db in
            let rows = try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
            let page = rows.prefix(limit)
            return MessagePage(
                messages: page.map { row in
                    StoredMessage(
                        message: (row[0] as Data?).map(VerbatimText.read) ?? "",
                        response: (row[1] as Data?).map(VerbatimText.read) ?? "",
                        // A date that nobody can read must not hide what was said.
                        at: (row[2] as String?).flatMap(DjangoTimestamp.date) ?? Date(timeIntervalSince1970: 0))
                },
                next: rows.count > page.count ? page.last.map { order.position(of: $0, at: 3) } : nil)
        }
    }

    /// Never: how long the site keeps its messages is the site's affair.
    package func deleteMessages(before date: Date, limit: Int) async throws -> Int { 0 }

    package func deleteMessages(userID: String) async throws -> Int {
        guard let table = tables.messages, table.allowsDeleting, let writer = try connections.writer(),
            let id = DjangoIdentity.userID(ofPrincipal: userID)
        else {
            throw StoreError(
                .unsupported,
                "the messages of \(userID) are in somebody else's table; toolServer.messages.allowDelete is not set")
        }
        let sql = "DELETE FROM \(SQLIdentifier(table.table)) WHERE \(SQLIdentifier(table.user)) = ?"
        do {
            return try await writer.write { db in
                try db.execute(sql: sql, arguments: [Self.storedID(id)])
                return db.changesCount
            }
        } catch {
            throw SQLiteStore.translate(error)
        }
    }
}
