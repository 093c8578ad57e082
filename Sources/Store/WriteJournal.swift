package import Foundation

/// Key under which a write is made at most once.
package struct WriteKey: Hashable, Sendable {
    /// Digest of who calls which tool under which idempotency key: 32 bytes.
    package let digest: [UInt8]
    /// Digest of the call's arguments, by which another use of the key is told from a repetition: 32 bytes.
    package let call: [UInt8]
    /// Time until which the result is recorded.
    package let expiresAt: Date

    /// Creates a key; see the properties.
    package init(digest: [UInt8], call: [UInt8], expiresAt: Date) {
        self.digest = digest
        self.call = call
        self.expiresAt = expiresAt
    }
}

/// Table in which a database records the results of writes. It is in the database that is written to, so that a write and
/// its record are one transaction.
package enum WriteJournal {
    /// Name of the table.
    package static let table = "tool_server_write"

    /// Returns the statements that create the table and its index, in the types of an engine.
    package static func statements(integer: String, blob: String) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(table) (
            digest \(blob) NOT NULL PRIMARY KEY, call \(blob) NOT NULL, result TEXT NOT NULL, expires_at \(integer) NOT NULL);
        CREATE INDEX IF NOT EXISTS \(table)_expiry ON \(table) (expires_at);
        """
    }

    /// Runs `write` and records its result, unless the key is recorded. Another transaction with the same key waits for this
    /// one. To be called within a transaction that sees what is committed while it runs.
    /// - Throws: ``StatementWriteError/keyUsed``, the database's errors, and those of `write`.
    package static func once(
        _ key: WriteKey, _ db: any SQLConnection, write: () throws -> String
    ) throws -> WriteOutcome {
        let isFirst =
            try db.change(
                """
                INSERT INTO \(table) (digest, call, result, expires_at) VALUES ($1, $2, '', $3) ON CONFLICT DO NOTHING
                """, [.blob(key.digest), .blob(key.call), .integer(key.expiresAt.milliseconds)]) == 1
        guard isFirst else {
            guard let result = try recorded(key, db) else {
                throw StoreError(.busy, "database: the record of a write was removed meanwhile")
            }
            return WriteOutcome(result: result, isReplay: true)
        }
        let result = try write()
        try db.change("UPDATE \(table) SET result = $1 WHERE digest = $2", [.text(result), .blob(key.digest)])
        return WriteOutcome(result: result, isReplay: false)
    }

    /// Returns the result that is recorded under a key; nil where there is none.
    /// - Throws: ``StatementWriteError/keyUsed``, and the database's errors.
    package static func recorded(_ key: WriteKey, _ db: any SQLConnection) throws -> String? {
        let row = try db.select("SELECT call, result FROM \(table) WHERE digest = $1", [.blob(key.digest)]).first
        guard let row else { return nil }
        guard row[0].bytes == key.call else { throw StatementWriteError.keyUsed }
        return row[1].string
    }

    /// Removes results that expired before a time, at most `limit`; returns their number.
    /// - Throws: The database's errors.
    package static func remove(before date: Date, limit: Int, _ db: any SQLConnection) throws -> Int {
        try db.change(
            "DELETE FROM \(table) WHERE digest IN (SELECT digest FROM \(table) WHERE expires_at <= $1 LIMIT $2)",
            [.integer(date.milliseconds), .integer(Int64(clamping: limit))])
    }
}

/// Names of the server's own tables, which no configured statement writes to.
package enum InternalTables {
    /// Tables of which a name is the beginning of others, such as those of a full-text index.
    private static let families = ["passage", "oauth_", "side_"] + SearchModel.builtIn.map(\.index)
    private static let names: Set<String> = [
        "account", "login_session", "ended_session", "api_key", "message", "document", "side_index",
        "tool_server_schema", "token_usage", "grdb_migrations", WriteJournal.table,
    ]

    /// Returns whether a table, by its name in lower case, is one that only the server itself writes to. `project`, `task`
    /// and `customer` are not.
    package static func contains(_ name: String) -> Bool {
        names.contains(name) || families.contains { name.hasPrefix($0) }
    }
}
