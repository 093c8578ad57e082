import JSON
import JSONConfiguration
import MCPServer
import Store
import Synchronization

/// Result columns of an SQL tool's statement, once the database has reported them.
///
/// Where the server may start before its database, that happens with the first call that reaches it.
final class SQLToolColumns: Sendable {
    private let configuration: SQLToolConfiguration
    private let reported: Mutex<[StatementColumn]?>
    private let ask: @Sendable () async throws -> [StatementColumn]

    /// Compares the statement with the database.
    /// - Parameters:
    ///   - describe: Asks the database at start.
    ///   - ask: Asks it later, without blocking.
    /// - Throws: `ConfigurationErrors` naming the key; ``StoreError`` when the database is available but cannot report
    ///   the columns, and the configuration does not declare them.
    init(
        _ configuration: SQLToolConfiguration, describe: () throws -> [StatementColumn],
        ask: @escaping @Sendable () async throws -> [StatementColumn]
    ) throws {
        self.configuration = configuration
        self.ask = ask
        var columns: [StatementColumn]?
        do {
            columns = try configuration.columns(found: try describe())
        } catch let refusal as StatementError {
            throw configuration.refusal("statement", "a statement that the database takes", refusal.description)
        } catch let error as StoreError
            where error.kind == .unavailable || !configuration.columns.isEmpty && error.kind != .unsupported
        {
            // The columns are not known yet.
        }
        reported = Mutex(columns)
    }

    /// Columns as far as they are known at start: reported, else declared.
    var known: [StatementColumn] { reported.withLock { $0 } ?? configuration.columns }

    /// Returns the columns; asks the database where it has not reported them.
    /// - Throws: ``StatementError``, `ConfigurationErrors`, ``StoreError``.
    func columns() async throws -> [StatementColumn] {
        if let columns = reported.withLock({ $0 }) { return columns }
        let columns = try configuration.columns(found: try await ask())
        reported.withLock { $0 = columns }
        return columns
    }
}

extension SQLToolConfiguration {
    /// Returns the statement's columns with the declared types.
    /// - Throws: `ConfigurationErrors` when other columns are declared, or a column has no name of its own.
    fileprivate func columns(found: [StatementColumn]) throws -> [StatementColumn] {
        let names = found.map(\.name)
        if Set(names).count != names.count || names.contains("") {
            throw refusal("statement", "result columns with a name each", names.joined(separator: ", "))
        }
        guard columns.isEmpty || Set(columns.map(\.name)) == Set(names) else {
            throw refusal(
                "columns", "the statement's columns: " + names.joined(separator: ", "),
                columns.map(\.name).joined(separator: ", "))
        }
        let declared = Dictionary(columns.map { ($0.name, $0.type) }, uniquingKeysWith: { $1 })
        return found.map { StatementColumn(name: $0.name, type: declared[$0.name] ?? $0.type) }
    }

    /// Returns a row as a JSON object.
    /// - Throws: ``ToolError`` for a value that is not of its column's type.
    func json(_ values: [StoreValue], _ columns: [StatementColumn]) throws -> JSONValue {
        guard values.count == columns.count else { throw failure }
        var object: JSONObject = [:]
        for (column, value) in zip(columns, values) {
            guard let json = value.json(as: column.type) else {
                throw ToolError(
                    "Column \(column.name) has a value that is not of type \(column.type?.rawValue ?? "value")")
            }
            object[column.name] = json
        }
        return .object(object)
    }

    /// JSON Schema of the arguments that callers give.
    var inputSchema: JSONValue {
        var properties: JSONObject = [:]
        for argument in arguments where argument.source == nil {
            properties[argument.name] = argument.schema
        }
        let required = arguments.filter(\.isRequired).map { JSONValue.string($0.name) }
        var input: JSONObject = ["type": "object", "properties": .object(properties), "additionalProperties": false]
        if !required.isEmpty { input["required"] = .array(required) }
        return .object(input)
    }

    /// JSON Schema of a row.
    static func rowSchema(_ columns: [StatementColumn]) -> JSONValue {
        var item: JSONObject = ["type": "object"]
        // Without its database a server knows only declared columns.
        if !columns.isEmpty {
            var fields: JSONObject = [:]
            for column in columns {
                fields[column.name] = column.type.map { ["type": [.string($0.rawValue), "null"]] } ?? .object([:])
            }
            item["properties"] = .object(fields)
            item["required"] = .array(columns.map { .string($0.name) })
        }
        return .object(item)
    }
}
