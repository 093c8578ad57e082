package import Foundation
package import Store

extension PostgreSQLStore {
    private static let columns =
        "digest, name, hint, scopes, user_id, created_at, expires_at, revoked_at, last_used_at"

    package func insertAPIKey(_ key: APIKey) async throws {
        do {
            try await write { connection in
                try connection.execute(
                    "INSERT INTO api_key (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    [
                        .bytes(key.digest), .text(key.name), .text(key.hint),
                        .text(key.scopes.joined(separator: " ")), .optional(key.userID), .instant(key.createdAt),
                        .instant(key.expiresAt), .instant(key.revokedAt), .instant(key.lastUsedAt),
                    ])
            }
        } catch let error as StoreError where error.kind == .duplicate {
            throw StoreError(.duplicate, "a key named \"\(key.name)\" exists already")
        }
    }

    package func apiKey(digest: [UInt8]) async throws -> APIKey? {
        try await read { connection in
            try connection.first(
                "SELECT \(Self.columns) FROM api_key WHERE digest = $1", [.bytes(digest)], Self.apiKey)
        }
    }

    package func apiKeys() async throws -> [APIKey] {
        try await read { connection in
            try connection.rows("SELECT \(Self.columns) FROM api_key ORDER BY created_at, id", [], Self.apiKey)
        }
    }

    package func revokeAPIKey(named name: String, at: Date) async throws -> Bool {
        guard !name.utf8.contains(0) else { return false }
        return try await write { connection in
            try connection.execute(
                "UPDATE api_key SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL",
                [.instant(at), .text(name)]) > 0
        }
    }

    package func noteUse(ofAPIKey digest: [UInt8], at: Date) async throws {
        try await write { connection in
            try connection.execute(
                """
                UPDATE api_key SET last_used_at = $1
                WHERE digest = $2 AND (last_used_at IS NULL OR last_used_at < $1)
                """, [.instant(at), .bytes(digest)])
        }
    }

    private static func apiKey(_ row: PostgreSQLRow) -> APIKey {
        APIKey(
            digest: row.bytes(0) ?? [], name: row.text(1), hint: row.text(2),
            scopes: row.text(3).split(separator: " ").map(String.init), userID: row[4],
            createdAt: row.instant(5) ?? Date(timeIntervalSince1970: 0), expiresAt: row.instant(6),
            revokedAt: row.instant(7), lastUsedAt: row.instant(8))
    }
}
