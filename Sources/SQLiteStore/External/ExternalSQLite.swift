package import Foundation
import GRDB
import JSONConfiguration
package import Store

/// An external SQLite database. Its journal mode and schema are not changed, but for the table of ``WriteJournal``; it is
/// opened for writing only where messages are stored in it, or where statements may write to it.
package final class ExternalSQLite: ExternalDatabase {
    let path: String
    let tables: ExternalTables
    let models: [ExternalModelStatements]
    let scans = SearchScans()
    let connections: ExternalConnections
    let allowsWrites: Bool

    package var searchModels: [String] { models.map(\.model.key) }

    /// Opens the database and compares the configured names with its schema.
    /// - Parameter allowsWrites: True if configured statements may write to it.
    /// - Throws: ``StoreError`` when it cannot be opened; `ConfigurationErrors` when the schema does not fit.
    package init(
        path: String, tables: ExternalTables, allowsWrites: Bool = false,
        busyTimeout: TimeInterval = SQLiteStore.busyTimeout
    ) throws {
        self.path = path
        self.tables = tables
        self.allowsWrites = allowsWrites
        do {
            connections = try ExternalConnections(
                path: path, isWriting: tables.messages != nil || allowsWrites, busyTimeout: busyTimeout)
            let (encoding, schema) = try connections.reader().read { db in
                (try String.fetchOne(db, sql: "PRAGMA encoding") ?? "", try Self.schema(db))
            }
            // Texts are compared by their bytes.
            guard encoding == "UTF-8" else {
                throw StoreError(.unsupported, "database \(path): its texts are \(encoding), not UTF-8")
            }
            var check = ExternalSchemaCheck(schema)
            check.check(tables)
            guard check.errors.isEmpty else { throw ConfigurationErrors(check.errors) }
            models = tables.models.map { model in
                let table = schema.first { $0.name == model.table }
                return ExternalModelStatements(model, primaryKey: table?.primaryKey ?? [], rowNumber: table?.rowNumber)
            }
        } catch let error as DatabaseError {
            throw SQLiteStore.openingError(error, at: .file(path))
        }
    }

    package func checkHealth() async throws {
        _ = try await read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") }
    }

    package func close() async throws {
        try connections.close()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do { return try await connections.reader().read(body) } catch { throw SQLiteStore.translate(error) }
    }

    private static func schema(_ db: Database) throws -> [ExternalTable] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT master.name, list.type = 'table' AND NOT list.wr FROM sqlite_master AS master
                JOIN pragma_table_list AS list ON list.name = master.name AND list.schema = 'main'
                WHERE master.type IN ('table', 'view') ORDER BY master.name
                """
        ).map { table in
            let (name, hasRowID) = (table.text(0), table.flag(1))
            // Hidden 1 are a virtual table's arguments; 2 and 3 are generated columns.
            let columns = try Row.fetchAll(
                db,
                sql: """
                    SELECT name, pk, "notnull" AS required, dflt_value IS NOT NULL AS has_default, hidden, type
                    FROM pragma_table_xinfo(?) WHERE hidden <> 1
                    """, arguments: [name])
            return ExternalTable(
                name: name,
                columns: columns.map { row in
                    let (key, hidden) = (row.count("pk"), row.count("hidden"))
                    let (required, hasDefault) = (row.flag("required"), row.flag("has_default"))
                    return ExternalTable.Column(
                        name: row.text("name"), keyPosition: key,
                        isRequired: required && !hasDefault && key == 0 && hidden == 0)
                }, rowNumber: hasRowID ? rowNumber(columns) : nil)
        }
    }

    private static func rowNumber(_ columns: [Row]) -> ExternalTable.RowNumber? {
        let key = columns.filter { $0.count("pk") > 0 }
        if key.count == 1, key[0].text("type").uppercased() == "INTEGER" {
            return ExternalTable.RowNumber(column: key[0].text("name"), isKept: true)
        }
        // A column of that name hides the row number.
        let taken = Set(columns.map { $0.text("name").lowercased() })
        return ["rowid", "_rowid_", "oid"].first { !taken.contains($0) }
            .map { ExternalTable.RowNumber(column: $0, isKept: false) }
    }

    /// Returns a number that changes with every change of the schema, and with every VACUUM.
    func schemaVersion() async throws -> Int64 {
        try await read { db in try Int64.fetchOne(db, sql: "PRAGMA schema_version") ?? 0 }
    }
}
