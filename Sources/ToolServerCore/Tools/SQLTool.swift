import Foundation
import JSON
import JSONConfiguration
import MCP
import MCPServer
import Store
import Synchronization

/// A tool that runs one SQL statement of the configuration. Values are bound, never written into the statement.
struct SQLTool: Tool {
    let definition: ToolDefinition

    private let configuration: SQLToolConfiguration
    private let statement: ReadOnlyStatement
    private let learnt: LearntColumns
    private let runner: any StatementRunner

    /// Compares the statement with the database. Where the server may start before its database, this happens with the
    /// first call that reaches it.
    /// - Throws: `ConfigurationErrors` naming the key; ``StoreError`` when the database is available but cannot report
    ///   the columns, and the configuration does not declare them.
    init(_ configuration: SQLToolConfiguration, runner: any StatementRunner) throws {
        guard let statement = configuration.statement else {
            throw configuration.refusal("statement", "one statement that only reads", "nothing")
        }
        var known: [StatementColumn]?
        do {
            known = try configuration.columns(
                found: try runner.describe(statement, session: configuration.session.map(\.name)))
        } catch let refusal as StatementRefusal {
            throw configuration.refusal("statement", "a statement that the database takes", refusal.description)
        } catch let error as StoreError
            where error.kind == .unavailable || !configuration.columns.isEmpty && error.kind != .unsupported
        {
            // The columns are not known yet.
        }
        self.configuration = configuration
        self.statement = statement
        self.runner = runner
        learnt = LearntColumns(known)
        definition = Self.definition(configuration, known ?? configuration.columns)
    }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let values = try configuration.bound(arguments, in: statement.text, for: context.principal)
        let session = try configuration.sessionVariables(for: context.principal)
        let (columns, found) = try await ToolError.translating(context) {
            () async throws -> ([StatementColumn], StatementRows) in
            do {
                // Checked first: a statement that would write is not run at all.
                let columns = try await learnt.columns {
                    try configuration.columns(
                        found: try await runner.columns(of: statement, session: configuration.session.map(\.name)))
                }
                let rows = try await runner.run(
                    statement, arguments: values, session: session, limit: configuration.limit,
                    timeout: configuration.timeout)
                return (columns, rows)
            } catch let error where error is StatementRefusal || error is ConfigurationErrors {
                // A table or column has been dropped, or the statement cannot use a value; names are only logged.
                context.logger.error(
                    "statement refused", metadata: ["tool": "\(configuration.name)", "error": "\(error)"])
                throw configuration.failure
            }
        }
        var result: JSONObject = ["results": .array(try found.rows.map { try row($0, columns) })]
        if found.truncated { result["truncated"] = true }
        return .structured(.object(result))
    }

    private func row(_ values: [StoreValue], _ columns: [StatementColumn]) throws -> JSONValue {
        guard values.count == columns.count else { throw configuration.failure }
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

    // MARK: Definition

    private static func definition(
        _ configuration: SQLToolConfiguration, _ columns: [StatementColumn]
    ) -> ToolDefinition {
        var properties: JSONObject = [:]
        for argument in configuration.arguments where argument.source == nil {
            properties[argument.name] = argument.schema
        }
        let required = configuration.arguments.filter(\.isRequired).map { JSONValue.string($0.name) }
        var input: JSONObject = ["type": "object", "properties": .object(properties), "additionalProperties": false]
        if !required.isEmpty { input["required"] = .array(required) }
        var fields: JSONObject = [:]
        for column in columns {
            fields[column.name] = column.type.map { ["type": [.string($0.rawValue), "null"]] } ?? .object([:])
        }
        var item: JSONObject = ["type": "object"]
        // Without its database a server knows only declared columns.
        if !columns.isEmpty {
            item["properties"] = .object(fields)
            item["required"] = .array(columns.map { .string($0.name) })
        }
        let output: JSONValue = [
            "type": "object",
            "properties": [
                "results": ["type": "array", "items": .object(item), "maxItems": .number(configuration.limit)],
                "truncated": ["type": "boolean", "description": "Whether rows were left out."],
            ],
            "required": ["results"],
        ]
        return ToolDefinition(
            name: configuration.name, title: configuration.title ?? configuration.name,
            description: configuration.description, inputSchema: .object(input), outputSchema: output,
            annotations: .lookUp)
    }
}

/// Result columns of a statement, once the database has reported them.
private final class LearntColumns: Sendable {
    private let known: Mutex<[StatementColumn]?>

    init(_ known: [StatementColumn]?) {
        self.known = Mutex(known)
    }

    func columns(_ ask: () async throws -> [StatementColumn]) async throws -> [StatementColumn] {
        if let known = known.withLock({ $0 }) { return known }
        let columns = try await ask()
        known.withLock { $0 = columns }
        return columns
    }
}

extension SQLToolConfiguration {
    /// Error for callers when the statement cannot be run.
    fileprivate var failure: ToolError { ToolError("The statement of \(name) failed") }

    fileprivate func refusal(_ key: String, _ expected: String, _ found: String) -> ConfigurationErrors {
        ConfigurationErrors([
            ConfigurationError(path: "toolServer.sqlTools.\(name).\(key)", expected: expected, found: found)
        ])
    }

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
}

extension StoreValue {
    /// Returns the value as JSON; nil when it is not of the type.
    func json(as type: StatementType?) -> JSONValue? {
        switch (self, type) {
        case (.null, _): .null
        case (.integer(let number), nil), (.integer(let number), .integer), (.integer(let number), .number):
            .number(Int(number))
        case (.integer(let number), .boolean): number == 0 || number == 1 ? .bool(number == 1) : nil
        case (.integer(let number), .string): .string(String(number))
        // JSON cannot represent infinity and NaN.
        case (.real(let number), nil), (.real(let number), .number): number.isFinite ? .number(number) : .null
        case (.real(let number), .integer): Int(exactly: number).map { .number($0) }
        case (.real(let number), .string): .string(String(number))
        case (.boolean(let flag), nil), (.boolean(let flag), .boolean): .bool(flag)
        case (.boolean(let flag), .string): .string(flag ? "true" : "false")
        case (.boolean(let flag), .integer), (.boolean(let flag), .number): .number(flag ? 1 : 0)
        case (.text(let text), nil), (.text(let text), .string): .string(text)
        case (.text(let text), .integer): Int(text).map { .number($0) }
        case (.text(let text), .number): Double(text).flatMap { $0.isFinite ? .number($0) : nil }
        case (.blob(let bytes), nil), (.blob(let bytes), .string): .string(Data(bytes).base64EncodedString())
        default: nil
        }
    }
}
