package import Foundation

/// Statements of the authorization server's tables, the same on every engine.
extension OAuthStore where Self: SQLDatabase {
    package func oauthKeys() async throws -> [OAuthKey] {
        try await inTransaction { db in
            try db.select("SELECT id, private_key, created_at FROM oauth_key ORDER BY created_at DESC, id", []).map {
                OAuthKey(id: $0[0].string, privateKey: $0[1].bytes, createdAt: Date(milliseconds: $0[2].number))
            }
        }
    }

    package func insertOAuthKey(_ key: OAuthKey, removingBefore limit: Date) async throws {
        try await inTransaction { db in
            try db.change("DELETE FROM oauth_key WHERE created_at < $1", [.integer(limit.milliseconds)])
            try db.change(
                "INSERT INTO oauth_key (id, private_key, created_at) VALUES ($1, $2, $3)",
                [.text(key.id), .blob(key.privateKey), .integer(key.createdAt.milliseconds)])
        }
    }

    package func insertOAuthClient(id: String, metadata: String, at: Date, limit: Int) async throws -> Bool {
        try await inTransaction { db in
            let count = try db.select("SELECT count(*) FROM oauth_client", []).first?[0].number ?? 0
            if count >= Int64(limit) {
                // Registrations that came to nothing make room, so that the table is not full for a month.
                let unused = try db.select(
                    """
                    SELECT id FROM oauth_client WHERE used_at < $1
                        AND NOT EXISTS (SELECT 1 FROM oauth_grant WHERE oauth_grant.client_id = oauth_client.id)
                        ORDER BY used_at LIMIT 1
                    """, [.integer(at.milliseconds - 3_600_000)])
                guard count == Int64(limit), let id = unused.first?[0].string else { return false }
                try db.change("DELETE FROM oauth_client WHERE id = $1", [.text(id)])
            }
            try db.change(
                "INSERT INTO oauth_client (id, metadata, created_at, used_at) VALUES ($1, $2, $3, $4)",
                [.text(id), .text(metadata), .integer(at.milliseconds), .integer(at.milliseconds)])
            return true
        }
    }

    package func oauthClient(id: String, at: Date) async throws -> String? {
        guard !id.utf8.contains(0) else { return nil }
        return try await inTransaction { db in
            guard let row = try db.select("SELECT metadata, used_at FROM oauth_client WHERE id = $1", [.text(id)]).first
            else { return nil }
            // To the hour, so that a client in use costs one write an hour.
            if row[1].number < at.milliseconds - 3_600_000 {
                try db.change(
                    "UPDATE oauth_client SET used_at = $1 WHERE id = $2", [.integer(at.milliseconds), .text(id)])
            }
            return row[0].string
        }
    }

    package func insertOAuthGrant(_ grant: OAuthGrant, code: OAuthCode) async throws {
        try await inTransaction { db in
            try db.change(
                """
                INSERT INTO oauth_grant
                    (id, user_id, client_id, client_name, scopes, created_at, used_at, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """,
                [
                    .text(grant.id), .text(grant.userID), .text(grant.clientID), .text(grant.clientName),
                    .text(grant.scopes.joined(separator: " ")), .integer(grant.createdAt.milliseconds),
                    .integer(grant.usedAt.milliseconds), .integer(grant.expiresAt.milliseconds),
                ])
            try db.change(
                """
                INSERT INTO oauth_code (digest, grant_id, redirect_uri, challenge, expires_at, is_used)
                VALUES ($1, $2, $3, $4, $5, 0)
                """,
                [
                    .blob(code.digest), .text(code.grantID), .text(code.redirectURI), .text(code.challenge),
                    .integer(code.expiresAt.milliseconds),
                ])
        }
    }

    package func redeemOAuthCode(digest: [UInt8], now: Date) async throws -> OAuthRedemption<OAuthCode> {
        try await inTransaction { db in
            let found = try db.select("SELECT grant_id FROM oauth_code WHERE digest = $1", [.blob(digest)]).first
            guard let found, try OAuthRows.lockGrant(found[0].string, db) else { return .unknown }
            let used = try db.change(
                "UPDATE oauth_code SET is_used = 1 WHERE digest = $1 AND is_used = 0 AND expires_at > $2",
                [.blob(digest), .integer(now.milliseconds)])
            let row = try db.select(
                "SELECT grant_id, redirect_uri, challenge, expires_at, is_used FROM oauth_code WHERE digest = $1",
                [.blob(digest)]
            ).first
            guard let row else { return .unknown }
            guard used == 1 else {
                guard row[4].number == 1 else { return .unknown }
                try OAuthRows.deleteGrant(row[0].string, db)
                return .reused(grantID: row[0].string)
            }
            guard let grant = try OAuthRows.grant(row[0].string, db) else { return .unknown }
            let code = OAuthCode(
                digest: digest, grantID: row[0].string, redirectURI: row[1].string, challenge: row[2].string,
                expiresAt: Date(milliseconds: row[3].number))
            return .redeemed(code, grant)
        }
    }

    package func insertOAuthToken(digest: [UInt8], grantID: String, expiresAt: Date) async throws -> Bool {
        try await inTransaction { db in
            guard try OAuthRows.lockGrant(grantID, db) else { return false }
            try OAuthRows.insertToken(digest, grantID, expiresAt, db)
            return true
        }
    }

    package func rotateOAuthToken(
        digest: [UInt8], to successor: [UInt8], now: Date, expiresAt: Date,
        isAllowed: @escaping @Sendable (OAuthGrant) -> Bool
    ) async throws -> OAuthRedemption<Bool> {
        try await inTransaction { db in
            let row = try db.select(
                "SELECT grant_id, expires_at FROM oauth_token WHERE digest = $1", [.blob(digest)]
            ).first
            guard let row, try OAuthRows.lockGrant(row[0].string, db),
                let grant = try OAuthRows.grant(row[0].string, db),
                isAllowed(grant)
            else { return .unknown }
            let used = try db.change(
                "UPDATE oauth_token SET is_used = 1 WHERE digest = $1 AND is_used = 0", [.blob(digest)])
            guard used == 1 else {
                try OAuthRows.deleteGrant(grant.id, db)
                return .reused(grantID: grant.id)
            }
            guard row[1].number > now.milliseconds, grant.expiresAt > now else { return .unknown }
            try OAuthRows.insertToken(successor, grant.id, expiresAt, db)
            try db.change(
                "UPDATE oauth_grant SET used_at = $1, expires_at = $2 WHERE id = $3",
                [.integer(now.milliseconds), .integer(expiresAt.milliseconds), .text(grant.id)])
            return .redeemed(true, grant)
        }
    }

    package func oauthGrant(tokenDigest: [UInt8]) async throws -> OAuthGrant? {
        try await inTransaction { db in
            let row = try db.select("SELECT grant_id FROM oauth_token WHERE digest = $1", [.blob(tokenDigest)]).first
            return try row.flatMap { try OAuthRows.grant($0[0].string, db) }
        }
    }

    package func oauthGrant(id: String) async throws -> OAuthGrant? {
        guard !id.utf8.contains(0) else { return nil }
        return try await inTransaction { db in try OAuthRows.grant(id, db) }
    }

    package func oauthGrants(userID: String?) async throws -> [OAuthGrant] {
        try await inTransaction { db in
            let condition = userID == nil ? "" : "WHERE user_id = $1"
            return try db.select(
                "SELECT \(OAuthRows.grantColumns) FROM oauth_grant \(condition) ORDER BY created_at DESC, id",
                userID.map { [.text($0)] } ?? []
            ).map(OAuthRows.grant)
        }
    }

    package func deleteOAuthGrant(id: String, userID: String?) async throws -> Bool {
        guard !id.utf8.contains(0) else { return false }
        return try await inTransaction { db in
            guard let grant = try OAuthRows.grant(id, db),
                userID.map({ $0.utf8.elementsEqual(grant.userID.utf8) }) != false
            else { return false }
            return try OAuthRows.deleteGrant(id, db)
        }
    }

    @discardableResult
    package func deleteOAuthGrants(userID: String) async throws -> Int {
        try await inTransaction { db in
            let rows = try db.select("SELECT id FROM oauth_grant WHERE user_id = $1 ORDER BY id", [.text(userID)])
            for row in rows { try OAuthRows.deleteGrant(row[0].string, db) }
            return rows.count
        }
    }

    package func deleteExpiredOAuth(now: Date, unusedSince: Date) async throws {
        try await inTransaction { db in
            let dayBefore = StoreValue.integer(now.milliseconds - 86_400_000)
            let now = StoreValue.integer(now.milliseconds)
            let expired = try db.select(
                "SELECT id FROM oauth_grant WHERE expires_at <= $1 ORDER BY id LIMIT 1000", [now])
            for row in expired { try OAuthRows.deleteGrant(row[0].string, db) }
            // Used tokens stay until they would have expired: presenting one again ends the grant. Codes expire within
            // a minute, so that they need not stay.
            try db.change("DELETE FROM oauth_token WHERE expires_at <= $1", [now])
            try db.change("DELETE FROM oauth_code WHERE expires_at <= $1", [dayBefore])
            try db.change(
                """
                DELETE FROM oauth_client WHERE used_at < $1
                    AND NOT EXISTS (SELECT 1 FROM oauth_grant WHERE oauth_grant.client_id = oauth_client.id)
                """, [.integer(unusedSince.milliseconds)])
        }
    }
}

/// Rows of the authorization server's tables.
private enum OAuthRows {
    static let grantColumns = "id, user_id, client_id, client_name, scopes, created_at, used_at, expires_at"

    static func grant(_ row: [StoreValue]) -> OAuthGrant {
        OAuthGrant(
            id: row[0].string, userID: row[1].string, clientID: row[2].string, clientName: row[3].string,
            scopes: row[4].string.split(separator: " ").map(String.init), createdAt: Date(milliseconds: row[5].number),
            usedAt: Date(milliseconds: row[6].number), expiresAt: Date(milliseconds: row[7].number))
    }

    static func grant(_ id: String, _ db: any SQLConnection) throws -> OAuthGrant? {
        try db.select("SELECT \(grantColumns) FROM oauth_grant WHERE id = $1", [.text(id)]).first.map(grant)
    }

    /// Locks a grant until the transaction ends; false when there is none. A transaction that changes codes or tokens
    /// locks their grant first, so that no two of them wait for each other.
    static func lockGrant(_ id: String, _ db: any SQLConnection) throws -> Bool {
        try db.change("UPDATE oauth_grant SET used_at = used_at WHERE id = $1", [.text(id)]) == 1
    }

    /// Adds an unused refresh token to a grant.
    static func insertToken(_ digest: [UInt8], _ grantID: String, _ expiresAt: Date, _ db: any SQLConnection) throws {
        try db.change(
            "INSERT INTO oauth_token (digest, grant_id, expires_at, is_used) VALUES ($1, $2, $3, 0)",
            [.blob(digest), .text(grantID), .integer(expiresAt.milliseconds)])
    }

    /// Deletes a grant, which locks it, with its codes and tokens.
    @discardableResult
    static func deleteGrant(_ id: String, _ db: any SQLConnection) throws -> Bool {
        let deleted = try db.change("DELETE FROM oauth_grant WHERE id = $1", [.text(id)])
        try db.change("DELETE FROM oauth_code WHERE grant_id = $1", [.text(id)])
        try db.change("DELETE FROM oauth_token WHERE grant_id = $1", [.text(id)])
        return deleted > 0
    }
}

/// Tables in SQL that every engine understands, except for the types of integers and blobs.
package enum OAuthSchema {
    /// Returns the statements that create them.
    package static func statements(integer: String, blob: String) -> String {
        """
        CREATE TABLE oauth_key (
            id TEXT NOT NULL PRIMARY KEY, private_key \(blob) NOT NULL, created_at \(integer) NOT NULL);
        CREATE TABLE oauth_client (
            id TEXT NOT NULL PRIMARY KEY, metadata TEXT NOT NULL, created_at \(integer) NOT NULL,
            used_at \(integer) NOT NULL);
        CREATE TABLE oauth_grant (
            id TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL, client_id TEXT NOT NULL, client_name TEXT NOT NULL,
            scopes TEXT NOT NULL, created_at \(integer) NOT NULL, used_at \(integer) NOT NULL,
            expires_at \(integer) NOT NULL);
        CREATE INDEX oauth_grant_user ON oauth_grant (user_id);
        CREATE INDEX oauth_grant_expiry ON oauth_grant (expires_at);
        CREATE INDEX oauth_grant_client ON oauth_grant (client_id);
        CREATE TABLE oauth_code (
            digest \(blob) NOT NULL PRIMARY KEY, grant_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
            challenge TEXT NOT NULL, expires_at \(integer) NOT NULL, is_used \(integer) NOT NULL);
        CREATE INDEX oauth_code_grant ON oauth_code (grant_id);
        CREATE TABLE oauth_token (
            digest \(blob) NOT NULL PRIMARY KEY, grant_id TEXT NOT NULL, expires_at \(integer) NOT NULL,
            is_used \(integer) NOT NULL);
        CREATE INDEX oauth_token_grant ON oauth_token (grant_id);
        """
    }
}
