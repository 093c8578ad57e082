package import Foundation
import GRDB
package import Store

extension ExternalSQLite {
    package func djangoSession(key: String, now: Date) async throws -> String? {
        guard let django = tables.django else { return nil }
        let sql = """
            SELECT session_data FROM \(SQLIdentifier(django.sessions)) WHERE session_key = ? AND expire_date > ?
            """
        return try await read { db in
            try String.fetchOne(db.cachedStatement(sql: sql), arguments: [key, DjangoTimestamp.text(now)])
        }
    }

    package func djangoUser(id: String) async throws -> DjangoUser? {
        guard let django = tables.django else { return nil }
        let alias = django.alias.map { "\(SQLIdentifier($0))" } ?? "''"
        let sql = """
            SELECT \(SQLIdentifier(django.username)), coalesce(\(alias), ''), \(SQLIdentifier(django.active)),
                \(SQLIdentifier(django.password))
            FROM \(SQLIdentifier(django.users)) WHERE \(SQLIdentifier(django.id)) = ?
            """
        return try await read { db in
            try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [Self.storedID(id)]).map { row in
                DjangoUser(
                    username: row.text(0), alias: row.text(1), isActive: row.flag(2), password: row.text(3))
            }
        }
    }

    package func djangoUserID(named username: String) async throws -> String? {
        guard let django = tables.django else { return nil }
        let sql = """
            SELECT CAST(\(SQLIdentifier(django.id)) AS TEXT) FROM \(SQLIdentifier(django.users))
            WHERE \(SQLIdentifier(django.username)) = ?
            """
        return try await read { db in
            try String.fetchOne(db.cachedStatement(sql: sql), arguments: [username]).map(Self.writtenID)
        }
    }

    /// Returns the id in the form that sessions use; the reverse of `storedID`. A key of 32 hexadecimal digits is a
    /// UUID, which sessions spell with hyphens.
    private static func writtenID(_ stored: String) -> String {
        guard stored.utf8.count == 32, stored.allSatisfy(\.isHexDigit) else { return stored }
        var digits = Array(stored)
        for position in [20, 16, 12, 8] { digits.insert("-", at: position) }
        return String(digits)
    }
}
