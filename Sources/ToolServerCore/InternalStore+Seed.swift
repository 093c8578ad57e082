package import Identity
package import Store

/// Result of ``InternalStore/seed(hasher:)``.
package struct SeedReport: Sendable {
    /// Number of new rows, by table.
    package let inserted: [(table: String, rows: Int)]
    /// Users that were created, with the only copy of their passwords.
    package let created: [(username: String, password: String)]
}

extension InternalStore {
    /// Loads the demo data; existing rows stay as they are. New users get random passwords, which only the report
    /// contains.
    /// - Throws: ``StoreError``; errors of the password hasher.
    package func seed(hasher: PasswordHasher) async throws -> SeedReport {
        let inserted = try await insertDemoRows()
        var created: [(username: String, password: String)] = []
        let login = LoginService(accounts: self, sessions: self, hasher: hasher)
        for (username, alias) in [("alice", "Al"), ("bob", "")] where try await account(named: username) == nil {
            let password = String(SessionToken().text.prefix(20))
            do {
                _ = try await login.createAccount(username: username, alias: alias, password: password)
                created.append((username, password))
            } catch let error as StoreError where error.kind == .duplicate {
                // Another process seeds the same database: the password is the one that it prints.
            }
        }
        return SeedReport(inserted: inserted, created: created)
    }
}
