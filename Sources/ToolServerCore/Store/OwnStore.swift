/// A database with all of our own tables, as the commands that look after it need it.
package protocol OwnStore: Store, DocumentLibrary {
    /// Inserts the demo rows that are not there; returns how many, by table, without the tables that got none.
    func insertDemoRows() async throws -> [(table: String, rows: Int)]
}

/// What ``OwnStore/seed(hasher:)`` did.
package struct SeedReport: Sendable {
    /// Rows that were not there before, by table.
    package let inserted: [(table: String, rows: Int)]
    /// Users made now, with the only copy of their passwords.
    package let created: [(username: String, password: String)]
}

extension OwnStore {
    /// Loads the demo data; rows that are there stay as they are. Users get random passwords, told once in the report.
    package func seed(hasher: PasswordHasher) async throws -> SeedReport {
        let inserted = try await insertDemoRows()
        var created: [(username: String, password: String)] = []
        let login = LoginService(accounts: self, sessions: self, hasher: hasher)
        for (username, alias) in [("alice", "Al"), ("bob", "")] where try await account(named: username) == nil {
            let password = String(SessionToken().text.prefix(20))
            _ = try await login.createAccount(username: username, alias: alias, password: password)
            created.append((username, password))
        }
        return SeedReport(inserted: inserted, created: created)
    }
}

extension ToolServerConfiguration {
    /// Opens the database with our own tables and brings its schema up to date.
    /// - Parameter waiting: for a server, which may be told to wait for its database.
    /// - Throws: ``StoreError`` naming the database and the reason.
    package func openStore(waiting: Bool = false) async throws -> any OwnStore {
        switch ownDatabase {
        case .memory, .file: try SQLiteStore(at: ownDatabase)
        case .postgreSQL(let location):
            try await PostgreSQLStore(at: location, settings: postgres, waiting: waiting && databaseWait)
        }
    }
}
