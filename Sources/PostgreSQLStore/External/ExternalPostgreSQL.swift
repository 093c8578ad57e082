import Foundation
import JSONConfiguration
package import Store
import Synchronization

/// An external PostgreSQL database: read on connections whose transactions are all read-only, and written only where
/// messages are stored in it, an index is requested, or statements may write to it.
package final class ExternalPostgreSQL: ExternalDatabase {
    let location: PostgreSQLLocation
    let settings: PostgreSQLSettings
    let tables: ExternalTables
    let reader: PostgreSQLPool
    /// Pool for searches without an index.
    let scans: PostgreSQLPool
    let writer: PostgreSQLPool
    let indexes = PostgreSQLIndexes()
    /// True if configured statements may write to it.
    let allowsWrites: Bool
    private let opened = Mutex<PostgreSQLModels?>(nil)

    package var searchModels: [String] { tables.models.map(\.key) }

    /// Opens the database and compares the configured names with its schema.
    /// - Parameters:
    ///   - allowsWrites: True if configured statements may write to it.
    ///   - waiting: True to start although the database cannot be reached: then every use tries again.
    /// - Throws: ``StoreError`` when it cannot be reached; `ConfigurationErrors` when the schema does not fit.
    package init(
        _ location: PostgreSQLLocation, settings: PostgreSQLSettings = PostgreSQLSettings(), tables: ExternalTables,
        allowsWrites: Bool = false, waiting: Bool = false
    ) async throws {
        self.location = location.with(password: settings.password)
        self.settings = settings
        self.tables = tables
        self.allowsWrites = allowsWrites
        reader = PostgreSQLPool(self.location, settings: settings, readOnly: true)
        scans = PostgreSQLPool(self.location, settings: settings.forScans, readOnly: true)
        writer = PostgreSQLPool(self.location, settings: settings)
        do {
            _ = try await models()
        } catch let error as StoreError where waiting && error.kind == .unavailable {
            // The next use compares the schema.
        } catch {
            try await close()
            throw PostgreSQLStore.opening(error, location)
        }
    }

    package func checkHealth() async throws {
        _ = try await read { connection in try connection.execute("SELECT 1") }
    }

    package func close() async throws {
        await scans.close()
        await reader.close()
        await writer.close()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (PostgreSQLConnection) throws -> T) async throws -> T {
        _ = try await models()
        return try await PostgreSQLStore.translating { try await reader.run(body) }
    }

    /// Returns the models with the schema's details; compares them with the configuration at the first use.
    func models() async throws -> PostgreSQLModels {
        if let models = opened.withLock({ $0 }) { return models }
        let models = try await PostgreSQLStore.translating {
            try await reader.run { [tables] connection in try PostgreSQLModels(tables, connection) }
        }
        opened.withLock { $0 = models }
        return models
    }
}

/// Configured models with the details of the database's schema.
struct PostgreSQLModels: Sendable {
    struct Model: Sendable {
        let model: ExternalModel
        let order: PostgreSQLOrder
        /// True if the order is that of the primary key.
        let isOrderIndexed: Bool
    }

    let models: [Model]
    /// Expression for the folded form of an operand, with `$` in place of the operand.
    private let folding: String

    func fold(_ operand: String) -> String { folding.replacing("$", with: operand) }

    /// Revision of the expression that folds case; a new one makes new indexes.
    private static let foldingRevision = "/2"

    /// Returns the name of the server's own index over a model's columns.
    static func index(_ model: ExternalModel) -> String {
        // A change of the columns, or of the folding, needs another index.
        let columns = (model.columns.joined(separator: ",") + foldingRevision).utf8
            .reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "tool_server_\(model.table.utf8.count > 30 ? "\(model.table.prefix(30))" : model.table)_\(columns)"
    }

    /// - Throws: `ConfigurationErrors` when the schema does not fit.
    init(_ tables: ExternalTables, _ connection: PostgreSQLConnection) throws {
        let schema = try Self.schema(connection)
        var check = ExternalSchemaCheck(schema.map(\.table))
        check.check(tables)
        guard check.errors.isEmpty else { throw ConfigurationErrors(check.errors) }
        folding = try PostgreSQLSchema.foldingExpression("$", connection)
        models = tables.models.map { model in
            let table = schema.first { $0.table.name == model.table }
            let primaryKey = table?.table.primaryKey ?? []
            let key = model.identity.isEmpty ? primaryKey : model.identity
            var terms = model.order
            for column in key where !terms.contains(where: { $0.column == column }) {
                terms.append(.init(column: column, descending: false))
            }
            let ordered = terms.map(\.column)
            let directions = Set(terms.map(\.descending))
            return Model(
                model: model,
                order: PostgreSQLOrder(
                    terms: terms.map { term in
                        .init(
                            expression: "row.\(SQLIdentifier(term.column))", descending: term.descending,
                            isNullable: table?.required.contains(term.column) != true)
                    }, isTotal: !key.isEmpty),
                isOrderIndexed: ordered == primaryKey && directions.count == 1)
        }
    }

    /// Returns the tables and views that are found without naming their schema.
    private static func schema(
        _ connection: PostgreSQLConnection
    ) throws -> [(table: ExternalTable, required: Set<String>)] {
        var names: [String] = []
        var columns: [String: [ExternalTable.Column]] = [:]
        var required: [String: Set<String>] = [:]
        try connection.execute(
            """
            SELECT class.relname, attribute.attname, coalesce(array_position(key.indkey::int2[], attribute.attnum) + 1, 0),
                attribute.attnotnull,
                attribute.attnotnull AND NOT attribute.atthasdef AND attribute.attidentity = ''
            FROM pg_class AS class
            JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
            LEFT JOIN pg_index AS key ON key.indrelid = class.oid AND key.indisprimary
            WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(class.oid)
                AND class.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                AND attribute.attnum > 0 AND NOT attribute.attisdropped
            ORDER BY class.relname, attribute.attnum
            """
        ) { row in
            let (table, column) = (row.text(0), row.text(1))
            if columns[table] == nil { names.append(table) }
            // An int2vector has its first element at index 0.
            columns[table, default: []].append(
                .init(name: column, keyPosition: row.count(2), isRequired: row.bool(4)))
            if row.bool(3) { required[table, default: []].insert(column) }
        }
        return names.map { (ExternalTable(name: $0, columns: columns[$0] ?? []), required[$0] ?? []) }
    }
}
