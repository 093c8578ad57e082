import Configuration
import Foundation
import GRDB

/// Somebody else's SQLite database. Its journal mode and schema stay as they are; it is opened for writing only where
/// messages are stored in it.
package final class ForeignSQLite: ForeignDatabase {
    let path: String
    let tables: ForeignTables
    let models: [ForeignModelStatements]
    /// Read-only connections.
    let reader: DatabasePool
    /// One connection that writes messages.
    let writer: DatabaseQueue?

    package var searchModels: [String] { models.map(\.model.key) }

    /// Opens the database and compares the configured names with its schema.
    /// - Throws: ``StoreError`` when it cannot be opened; `ConfigurationErrors` when the schema does not fit.
    package init(path: String, tables: ForeignTables) throws {
        self.path = path
        self.tables = tables
        var configuration = GRDB.Configuration()
        configuration.label = "foreign"
        configuration.readonly = true
        configuration.busyMode = .timeout(SQLiteStore.busyTimeout)
        configuration.prepareDatabase { db in try FoldedNeedle.register(in: db) }
        do {
            // A pool that may not write leaves the journal mode alone.
            reader = try DatabasePool(path: path, configuration: configuration)
            let schema = try reader.read(Self.schema)
            var check = ForeignSchemaCheck(schema)
            check.check(tables)
            guard check.errors.isEmpty else { throw ConfigurationErrors(check.errors) }
            models = tables.models.map { model in
                let key = schema.first { $0.name == model.table }?.primaryKey ?? []
                return ForeignModelStatements(model, primaryKey: key)
            }
            if tables.messages != nil {
                guard FileManager.default.isWritableFile(atPath: path) else {
                    throw StoreError(.readOnly, "cannot store messages in \(path): the file is not writable")
                }
                var writing = GRDB.Configuration()
                writing.label = "foreign messages"
                writing.busyMode = .timeout(SQLiteStore.busyTimeout)
                writer = try DatabaseQueue(path: path, configuration: writing)
            } else {
                writer = nil
            }
        } catch let error as DatabaseError {
            throw SQLiteStore.openingError(error, at: .file(path))
        }
    }

    package func checkHealth() async throws {
        _ = try await read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") }
    }

    package func close() async throws {
        try reader.close()
        try writer?.close()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do { return try await reader.read(body) } catch { throw SQLiteStore.translate(error) }
    }

    private static func schema(_ db: Database) throws -> [ForeignTable] {
        try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            .map { name in
                // Hidden 1 are a virtual table's arguments; 2 and 3 are generated columns.
                let columns = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT name, pk, "notnull" AS required, dflt_value IS NOT NULL AS has_default, hidden
                        FROM pragma_table_xinfo(?) WHERE hidden <> 1
                        """, arguments: [name])
                return ForeignTable(
                    name: name,
                    columns: columns.map { row in
                        let (key, hidden): (Int, Int) = (row["pk"], row["hidden"])
                        let (required, hasDefault): (Bool, Bool) = (row["required"], row["has_default"])
                        return ForeignTable.Column(
                            name: row["name"], keyPosition: key,
                            isRequired: required && !hasDefault && key == 0 && hidden == 0)
                    })
            }
    }
}

/// A name quoted as an SQL identifier.
struct SQLIdentifier: CustomStringConvertible {
    let description: String

    init(_ name: String) {
        description = "\"" + name.replacing("\"", with: "\"\"") + "\""
    }
}
