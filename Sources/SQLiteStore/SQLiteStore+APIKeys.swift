package import Foundation
import GRDB
package import Store

extension SQLiteStore {
    package func insertAPIKey(_ key: APIKey) async throws {
        do {
            try await write { db in
                try db.execute(
                    sql: """
                        INSERT INTO api_key
                            (digest, name, hint, scopes, user_id, created_at, expires_at, revoked_at, last_used_at)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        Data(key.digest), key.name, key.hint, key.scopes.joined(separator: " "), key.userID,
                        key.createdAt.milliseconds, key.expiresAt?.milliseconds, key.revokedAt?.milliseconds,
                        key.lastUsedAt?.milliseconds,
                    ])
            }
        } catch let error as StoreError where error.kind == .duplicate {
            throw StoreError(.duplicate, "a key named \"\(key.name)\" exists already")
        }
    }

    package func apiKey(digest: [UInt8]) async throws -> APIKey? {
        try await read { db in
            let statement = try db.cachedStatement(sql: "SELECT * FROM api_key WHERE digest = ?")
            return try Row.fetchOne(statement, arguments: [Data(digest)]).map(APIKey.init(row:))
        }
    }

    package func apiKeys() async throws -> [APIKey] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM api_key ORDER BY created_at, id").map(APIKey.init(row:))
        }
    }

    package func revokeAPIKey(named name: String, at: Date) async throws -> Bool {
        try await write { db in
            try db.execute(
                sql: "UPDATE api_key SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
                arguments: [at.milliseconds, name])
            return db.changesCount > 0
        }
    }

    package func noteUse(ofAPIKey digest: [UInt8], at: Date) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE api_key SET last_used_at = ?1
                    WHERE digest = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)
                    """,
                arguments: [at.milliseconds, Data(digest)])
        }
    }
}

extension APIKey {
    fileprivate init(row: Row) {
        self.init(
            digest: [UInt8](row.bytes("digest")), name: row.text("name"), hint: row.text("hint"),
            scopes: row.text("scopes").split(separator: " ").map(String.init),
            userID: (row["user_id"] as DatabaseValue).isNull ? nil : row.text("user_id"),
            createdAt: Date(milliseconds: row.integer("created_at")), expiresAt: row.instant("expires_at"),
            revokedAt: row.instant("revoked_at"), lastUsedAt: row.instant("last_used_at"))
    }
}
