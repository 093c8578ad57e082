package import Foundation
import GRDB
package import Store

extension SQLiteStore {
    package func insertAccount(
        username: String, alias: String, passwordHash: String, at: Date
    ) async throws -> Account {
        do {
            return try await write { db in
                try db.execute(
                    sql: "INSERT INTO account (username, alias, password_hash, created_at) VALUES (?, ?, ?, ?)",
                    arguments: [username, alias, passwordHash, at.milliseconds])
                return Account(
                    id: db.lastInsertedRowID, username: username, alias: alias, passwordHash: passwordHash,
                    isActive: true)
            }
        } catch let error as StoreError where error.kind == .duplicate {
            throw StoreError(.duplicate, "an account named \"\(username)\" exists already")
        }
    }

    package func account(named username: String) async throws -> Account? {
        try await read { db in
            try Row.fetchOne(
                db,
                sql: "SELECT id, username, alias, password_hash, is_active FROM account WHERE username = ?",
                arguments: [username]
            ).map(Account.init(row:))
        }
    }

    package func account(id: Int64) async throws -> Account? {
        try await read { db in
            try Row.fetchOne(
                db, sql: "SELECT id, username, alias, password_hash, is_active FROM account WHERE id = ?",
                arguments: [id]
            ).map(Account.init(row:))
        }
    }

    package func updatePasswordHash(_ hash: String, accountID: Int64) async throws {
        try await write { db in
            try db.execute(
                sql: "UPDATE account SET password_hash = ? WHERE id = ?", arguments: [hash, accountID])
            try db.execute(sql: "DELETE FROM login_session WHERE account_id = ?", arguments: [accountID])
        }
    }

    package func setActive(_ isActive: Bool, accountID: Int64) async throws {
        try await write { db in
            try db.execute(sql: "UPDATE account SET is_active = ? WHERE id = ?", arguments: [isActive, accountID])
            guard !isActive else { return }
            try db.execute(sql: "DELETE FROM login_session WHERE account_id = ?", arguments: [accountID])
        }
    }

    package func insertLoginSession(
        _ session: LoginSession, of account: Account, replacing: [UInt8]?
    ) async throws -> Bool {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO login_session (digest, account_id, created_at, expires_at)
                    SELECT ?, id, ?, ? FROM account WHERE id = ? AND is_active AND password_hash = ?
                    """,
                arguments: [
                    Data(session.digest), session.createdAt.milliseconds, session.expiresAt.milliseconds,
                    account.id, account.passwordHash,
                ])
            guard db.changesCount == 1 else { return false }
            if let replacing {
                try db.execute(sql: "DELETE FROM login_session WHERE digest = ?", arguments: [Data(replacing)])
            }
            return true
        }
    }

    package func loginSessions(accountID: Int64, now: Date) async throws -> [LoginSession] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT digest, created_at, expires_at FROM login_session
                    WHERE account_id = ? AND expires_at > ? ORDER BY created_at DESC, digest
                    """,
                arguments: [accountID, now.milliseconds]
            ).map { row in
                LoginSession(
                    digest: [UInt8](row.bytes("digest")), accountID: accountID,
                    createdAt: Date(milliseconds: row.integer("created_at")),
                    expiresAt: Date(milliseconds: row.integer("expires_at")))
            }
        }
    }

    package func account(sessionDigest: [UInt8], now: Date) async throws -> Account? {
        try await read { db in
            try Row.fetchOne(
                db,
                sql: """
                    SELECT account.id, username, alias, password_hash, is_active
                    FROM login_session JOIN account ON account.id = login_session.account_id
                    WHERE digest = ? AND expires_at > ? AND is_active
                    """,
                arguments: [Data(sessionDigest), now.milliseconds]
            ).map(Account.init(row:))
        }
    }

    package func deleteLoginSession(digest: [UInt8]) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM login_session WHERE digest = ?", arguments: [Data(digest)])
        }
    }

    @discardableResult
    package func deleteLoginSessions(accountID: Int64) async throws -> Int {
        try await write { db in
            try db.execute(sql: "DELETE FROM login_session WHERE account_id = ?", arguments: [accountID])
            return db.changesCount
        }
    }

    @discardableResult
    package func deleteExpiredLoginSessions(now: Date) async throws -> Int {
        try await write { db in
            try db.execute(sql: "DELETE FROM login_session WHERE expires_at <= ?", arguments: [now.milliseconds])
            return db.changesCount
        }
    }

    package func deleteAccount(id: Int64, userID: String) async throws -> DeletedUserData? {
        try await write { db in
            guard try Int.fetchOne(db, sql: "SELECT 1 FROM account WHERE id = ?", arguments: [id]) != nil else {
                return nil
            }
            var deleted = DeletedUserData()
            try db.execute(sql: "DELETE FROM login_session WHERE account_id = ?", arguments: [id])
            deleted.sessions = db.changesCount
            try db.execute(sql: "DELETE FROM message WHERE user_id = ?", arguments: [userID])
            deleted.messages = db.changesCount
            try db.execute(sql: "DELETE FROM api_key WHERE user_id = ?", arguments: [userID])
            deleted.keys = db.changesCount
            try db.execute(sql: "DELETE FROM account WHERE id = ?", arguments: [id])
            return deleted
        }
    }
}

extension Account {
    fileprivate init(row: Row) {
        self.init(
            id: row.integer("id"), username: row.text("username"), alias: row.text("alias"),
            passwordHash: row.text("password_hash"), isActive: row.flag("is_active"))
    }
}
