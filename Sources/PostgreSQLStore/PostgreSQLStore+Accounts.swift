package import Foundation
package import Store

extension PostgreSQLStore {
    package func insertAccount(
        username: String, alias: String, passwordHash: String, at: Date
    ) async throws -> Account {
        do {
            return try await write { connection in
                let id = try connection.first(
                    """
                    INSERT INTO account (username, alias, password_hash, created_at) VALUES ($1, $2, $3, $4)
                    RETURNING id
                    """, [.text(username), .text(alias), .text(passwordHash), .integer(at.milliseconds)]
                ) { $0.integer(0) }
                return Account(
                    id: id ?? 0, username: username, alias: alias, passwordHash: passwordHash, isActive: true)
            }
        } catch let error as StoreError where error.kind == .duplicate {
            throw StoreError(.duplicate, "an account named \"\(username)\" exists already")
        }
    }

    package func account(named username: String) async throws -> Account? {
        // No stored name contains a NUL, and the server would refuse the parameter.
        guard !username.utf8.contains(0) else { return nil }
        return try await read { connection in
            try connection.first(
                "SELECT id, username, alias, password_hash, is_active FROM account WHERE username = $1",
                [.text(username)], Self.account)
        }
    }

    package func account(id: Int64) async throws -> Account? {
        try await read { connection in
            try connection.first(
                "SELECT id, username, alias, password_hash, is_active FROM account WHERE id = $1", [.integer(id)],
                Self.account)
        }
    }

    package func setActive(_ isActive: Bool, accountID: Int64) async throws {
        try await write { connection in
            try connection.execute(
                "UPDATE account SET is_active = $1 WHERE id = $2", [.bool(isActive), .integer(accountID)])
            guard !isActive else { return }
            try connection.execute("DELETE FROM login_session WHERE account_id = $1", [.integer(accountID)])
        }
    }

    package func updatePasswordHash(_ hash: String, accountID: Int64) async throws {
        try await write { connection in
            try connection.execute(
                "UPDATE account SET password_hash = $1 WHERE id = $2", [.text(hash), .integer(accountID)])
            try connection.execute("DELETE FROM login_session WHERE account_id = $1", [.integer(accountID)])
        }
    }

    package func insertLoginSession(
        _ session: LoginSession, of account: Account, replacing: [UInt8]?
    ) async throws -> Bool {
        try await write { connection in
            // FOR SHARE: a concurrent change of the account waits until the session is stored and can be ended; or this
            // statement waits for that change and then sees it.
            let inserted = try connection.execute(
                """
                INSERT INTO login_session (digest, account_id, created_at, expires_at)
                SELECT $1, id, $2, $3 FROM account WHERE id = $4 AND is_active AND password_hash = $5 FOR SHARE
                """,
                [
                    .bytes(session.digest), .integer(session.createdAt.milliseconds),
                    .integer(session.expiresAt.milliseconds), .integer(account.id), .text(account.passwordHash),
                ])
            guard inserted == 1 else { return false }
            if let replacing {
                try connection.execute("DELETE FROM login_session WHERE digest = $1", [.bytes(replacing)])
            }
            return true
        }
    }

    package func loginSessions(accountID: Int64, now: Date) async throws -> [LoginSession] {
        try await read { connection in
            try connection.rows(
                """
                SELECT digest, created_at, expires_at FROM login_session
                WHERE account_id = $1 AND expires_at > $2 ORDER BY created_at DESC, digest
                """, [.integer(accountID), .integer(now.milliseconds)]
            ) { row in
                LoginSession(
                    digest: row.bytes(0) ?? [], accountID: accountID, createdAt: Date(milliseconds: row.integer(1)),
                    expiresAt: Date(milliseconds: row.integer(2)))
            }
        }
    }

    package func account(sessionDigest: [UInt8], now: Date) async throws -> Account? {
        try await read { connection in
            try connection.first(
                """
                SELECT account.id, username, alias, password_hash, is_active
                FROM login_session JOIN account ON account.id = login_session.account_id
                WHERE digest = $1 AND expires_at > $2 AND is_active
                """, [.bytes(sessionDigest), .integer(now.milliseconds)], Self.account)
        }
    }

    package func deleteLoginSession(digest: [UInt8]) async throws {
        try await write { connection in
            try connection.execute("DELETE FROM login_session WHERE digest = $1", [.bytes(digest)])
        }
    }

    @discardableResult
    package func deleteLoginSessions(accountID: Int64) async throws -> Int {
        try await write { connection in
            try connection.execute("DELETE FROM login_session WHERE account_id = $1", [.integer(accountID)])
        }
    }

    @discardableResult
    package func deleteExpiredLoginSessions(now: Date) async throws -> Int {
        try await write { connection in
            try connection.execute("DELETE FROM login_session WHERE expires_at <= $1", [.integer(now.milliseconds)])
        }
    }

    package func deleteAccount(id: Int64, userID: String) async throws -> DeletedUserData? {
        try await write { connection in
            let known = try connection.first("SELECT 1 FROM account WHERE id = $1 FOR UPDATE", [.integer(id)]) { _ in
                true
            }
            guard known == true else { return nil }
            let deleted = DeletedUserData(
                sessions: try connection.execute("DELETE FROM login_session WHERE account_id = $1", [.integer(id)]),
                messages: try connection.execute("DELETE FROM message WHERE user_id = $1", [.text(userID)]),
                keys: try connection.execute("DELETE FROM api_key WHERE user_id = $1", [.text(userID)]))
            try connection.execute("DELETE FROM account WHERE id = $1", [.integer(id)])
            return deleted
        }
    }

    private static func account(_ row: PostgreSQLRow) -> Account {
        Account(
            id: row.integer(0), username: row.text(1), alias: row.text(2), passwordHash: row.text(3),
            isActive: row.bool(4))
    }
}
