package import Foundation
package import Store

/// Sessions, users and messages of the site.
extension ExternalPostgreSQL {
    package func djangoSession(key: String, now: Date) async throws -> String? {
        guard let django = tables.django, !key.utf8.contains(0) else { return nil }
        let sql = """
            SELECT session_data FROM \(SQLIdentifier(django.sessions)) WHERE session_key = $1 AND expire_date > $2
            """
        return try await read { connection in
            try connection.first(sql, [.text(key), Self.instant(now)]) { $0.text(0) }
        }
    }

    package func djangoUser(id: String) async throws -> DjangoUser? {
        guard let django = tables.django, !id.utf8.contains(0) else { return nil }
        let alias = django.alias.map { "\(SQLIdentifier($0))" } ?? "''"
        let sql = """
            SELECT \(SQLIdentifier(django.username)), coalesce(\(alias), ''), \(SQLIdentifier(django.active)),
                \(SQLIdentifier(django.password))
            FROM \(SQLIdentifier(django.users)) WHERE \(SQLIdentifier(django.id)) = $1
            """
        _ = try await models()
        return try await PostgreSQLStore.translating {
            do {
                return try await reader.run { connection in
                    try connection.first(sql, [.text(id)]) { row in
                        DjangoUser(
                            username: row.text(0), alias: row.text(1), isActive: row.bool(2), password: row.text(3))
                    }
                }
            } catch let failure as PostgreSQLError where failure.isAboutAValue {
                // The text is not a valid key of that table.
                return nil
            }
        }
    }

    package func djangoUserID(named username: String) async throws -> String? {
        guard let django = tables.django, !username.utf8.contains(0) else { return nil }
        let sql = """
            SELECT \(SQLIdentifier(django.id))::text FROM \(SQLIdentifier(django.users))
            WHERE \(SQLIdentifier(django.username)) = $1
            """
        return try await read { connection in try connection.first(sql, [.text(username)]) { $0.text(0) } }
    }

    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        guard let table = tables.messages, let id = DjangoUser.userID(ofPrincipal: userID) else {
            throw StoreError(.unsupported, "database: no table takes this user's messages")
        }
        let columns = [table.user, table.message, table.response, table.createdAt].map { "\(SQLIdentifier($0))" }
        let sql = """
            INSERT INTO \(SQLIdentifier(table.table)) (\(columns.joined(separator: ", "))) VALUES ($1, $2, $3, $4)
            """
        _ = try await models()
        try await PostgreSQLStore.translating {
            try await writer.run { connection in
                _ = try connection.execute(
                    sql,
                    [
                        .text(id), .text(message.message.storable), .text(message.response.storable),
                        Self.instant(message.at),
                    ])
            }
        }
    }

    package func messages(
        userID: String, within bounds: MessagePageBounds, after: PagePosition?
    ) async throws -> MessagePage {
        guard let table = tables.messages, let user = DjangoUser.userID(ofPrincipal: userID) else {
            return MessagePage(messages: [], next: nil)
        }
        _ = try await models()
        let name = "\(SQLIdentifier(table.table))"
        let at = "\(name).\(SQLIdentifier(table.createdAt))"
        return try await PostgreSQLMessagePage(
            table: name, user: "\(SQLIdentifier(table.user))",
            message: "\(name).\(SQLIdentifier(table.message))::text",
            response: "\(name).\(SQLIdentifier(table.response))::text", areTexts: true,
            // Infinite dates, and those far outside our era, are beyond the range of milliseconds.
            milliseconds: """
                CASE WHEN \(at) BETWEEN '0001-01-01' AND '9999-12-31' THEN (extract(epoch FROM \(at)) * 1000)::bigint \
                ELSE 0 END
                """, instant: at, isInstantNullable: true, id: "\(name).\(SQLIdentifier(table.id))"
        ).messages(of: user, within: bounds, after: after, on: reader)
    }

    /// Does nothing: the site decides how long it keeps its messages.
    package func deleteMessages(before date: Date, limit: Int) async throws -> Int { 0 }

    package func deleteMessages(userID: String) async throws -> Int {
        guard let table = tables.messages, table.allowsDeleting, let id = DjangoUser.userID(ofPrincipal: userID)
        else {
            throw StoreError(
                .unsupported,
                "the messages of \(userID) are in a table of the external database; toolServer.messages.allowDelete is not set"
            )
        }
        let sql = "DELETE FROM \(SQLIdentifier(table.table)) WHERE \(SQLIdentifier(table.user)) = $1"
        _ = try await models()
        return try await PostgreSQLStore.translating {
            try await writer.run { connection in
                try connection.transaction { try connection.execute(sql, [.text(id)]) }
            }
        }
    }

    /// Returns an instant as text that every date type accepts; connections are set to UTC.
    private static func instant(_ date: Date) -> PostgreSQLValue { .text(DjangoTimestamp.text(date) + "+00") }
}
