import PostgreSQLStore
import SQLiteStore
package import Store

extension ToolServerConfiguration {
    /// Opens the database of the server's own tables and migrates its schema.
    /// - Parameter waiting: True for a server, which may be configured to wait for its database.
    /// - Throws: ``StoreError`` naming the database and the reason.
    package func openStore(waiting: Bool = false) async throws -> any InternalStore {
        switch internalDatabase {
        case .memory: try SQLiteStore(at: .memory)
        case .file(let path): try SQLiteStore(at: .file(path))
        case .postgreSQL(let location):
            try await PostgreSQLStore(at: location, settings: postgres, waiting: waiting && databaseWait)
        }
    }

    /// Opens the external database where the configuration uses one, and compares the names with its schema.
    /// - Parameter waiting: True for a server, which may be configured to wait for its database.
    /// - Throws: ``StoreError``, or `ConfigurationErrors` when the schema does not fit.
    package func openExternal(waiting: Bool = false) async throws -> (any ExternalDatabase)? {
        // With a state database the other one is external, even if only SQL tools read it.
        guard !externalTables.isEmpty || (stateDatabase != nil && !sqlTools.isEmpty) else { return nil }
        switch database {
        case .memory: return nil
        case .file(let path):
            return try ExternalSQLite(path: path, tables: externalTables, allowsWrites: writesToExternal)
        case .postgreSQL(let location):
            return try await ExternalPostgreSQL(
                location, settings: postgres, tables: externalTables, allowsWrites: writesToExternal,
                waiting: waiting && databaseWait)
        }
    }

    /// Indicates whether configured statements write to the external database.
    private var writesToExternal: Bool { allowWrites && sqlTools.contains { $0.write != nil } }
}
