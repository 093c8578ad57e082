import Configuration
import Foundation
import JSON
import MCP
import MCPServer

/// A tool that is one SQL statement of the configuration. Values are bound, never written into the statement.
struct StatementTool: Tool {
    let definition: ToolDefinition

    private let configuration: StatementToolConfiguration
    private let statement: ReadOnlyStatement
    private let columns: [StatementColumn]
    private let runner: any StatementRunner

    /// Compares the statement with the database, as far as that can be asked.
    /// - Throws: `ConfigurationErrors` naming the key; ``StoreError`` when the database cannot be asked for the columns
    ///   and the configuration does not declare them.
    init(_ configuration: StatementToolConfiguration, runner: any StatementRunner) throws {
        let path = "toolServer.sqlTools.\(configuration.name)"
        guard let statement = configuration.statement else {
            throw Self.refusal("\(path).statement", "one statement that only reads", "nothing")
        }
        let found = try Self.columns(of: statement, configuration, runner, path)
        self.configuration = configuration
        self.statement = statement
        self.runner = runner
        let declared = Dictionary(configuration.columns.map { ($0.name, $0.type) }, uniquingKeysWith: { $1 })
        columns = found.map { StatementColumn(name: $0.name, type: declared[$0.name] ?? $0.type) }
        definition = Self.definition(configuration, columns)
    }

    private static func columns(
        of statement: ReadOnlyStatement, _ configuration: StatementToolConfiguration, _ runner: any StatementRunner,
        _ path: String
    ) throws -> [StatementColumn] {
        do {
            let found = try runner.describe(statement)
            try check(found, against: configuration.columns, path)
            return found
        } catch let refusal as StatementRefusal {
            throw Self.refusal("\(path).statement", "a statement that the database takes", refusal.description)
        } catch let error as StoreError where !configuration.columns.isEmpty && error.kind != .unsupported {
            // The server may start before its database; a statement that does not fit is then told when it is called.
            return configuration.columns
        }
    }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let values = try configuration.bound(arguments, in: statement)
        let found = try await ToolError.translating(context) {
            do {
                return try await runner.run(
                    statement, arguments: values, limit: configuration.limit, timeout: configuration.timeout)
            } catch let refusal as StatementRefusal {
                // A table or column that is gone, or a value that the statement cannot use; names stay in the log.
                context.logger.error(
                    "statement refused", metadata: ["tool": "\(configuration.name)", "error": "\(refusal)"])
                throw ToolError("The statement of \(configuration.name) failed")
            }
        }
        var result: JSONObject = ["results": .array(try found.rows.map(row))]
        if found.truncated { result["truncated"] = true }
        return .structured(.object(result))
    }

    private func row(_ values: [StoreValue]) throws -> JSONValue {
        guard values.count == columns.count else { throw ToolError("The statement of \(configuration.name) failed") }
        var object: JSONObject = [:]
        for (column, value) in zip(columns, values) {
            guard let json = value.json(as: column.type) else {
                throw ToolError("Column \(column.name) has a value that is no \(column.type?.rawValue ?? "value")")
            }
            object[column.name] = json
        }
        return .object(object)
    }

    // MARK: Definition

    private static func definition(
        _ configuration: StatementToolConfiguration, _ columns: [StatementColumn]
    ) -> ToolDefinition {
        var properties: JSONObject = [:]
        for argument in configuration.arguments { properties[argument.name] = argument.schema }
        let required = configuration.arguments.filter(\.isRequired).map { JSONValue.string($0.name) }
        var input: JSONObject = ["type": "object", "properties": .object(properties), "additionalProperties": false]
        if !required.isEmpty { input["required"] = .array(required) }
        var fields: JSONObject = [:]
        for column in columns {
            fields[column.name] = column.type.map { ["type": [.string($0.rawValue), "null"]] } ?? .object([:])
        }
        let item: JSONValue = [
            "type": "object", "properties": .object(fields), "required": .array(columns.map { .string($0.name) }),
        ]
        let output: JSONValue = [
            "type": "object",
            "properties": [
                "results": ["type": "array", "items": item, "maxItems": .number(configuration.limit)],
                "truncated": ["type": "boolean", "description": "Whether rows were left out."],
            ],
            "required": ["results"],
        ]
        return ToolDefinition(
            name: configuration.name, title: configuration.title ?? configuration.name,
            description: configuration.description, inputSchema: .object(input), outputSchema: output,
            annotations: .lookUp)
    }

    private static func check(
        _ found: [StatementColumn], against declared: [StatementColumn], _ path: String
    ) throws {
        let names = found.map(\.name)
        if Set(names).count != names.count || names.contains("") {
            throw refusal("\(path).statement", "result columns with a name each", names.joined(separator: ", "))
        }
        guard !declared.isEmpty, Set(declared.map(\.name)) != Set(names) else { return }
        throw refusal(
            "\(path).columns", "the statement's columns: " + names.joined(separator: ", "),
            declared.map(\.name).joined(separator: ", "))
    }

    private static func refusal(_ path: String, _ expected: String, _ found: String) -> ConfigurationErrors {
        ConfigurationErrors([ConfigurationError(path: path, expected: expected, found: found)])
    }
}

extension StatementToolConfiguration {
    /// What the statement's parameters are bound to.
    /// - Throws: ``ToolError`` for a number that no 64-bit integer holds.
    func bound(_ given: JSONObject, in statement: ReadOnlyStatement) throws(ToolError) -> [StoreValue] {
        var values: [StoreValue] = []
        for name in statement.parameters {
            guard let argument = arguments.first(where: { $0.name == name }),
                let json = given[name] ?? argument.defaultValue
            else {
                values.append(.null)
                continue
            }
            guard let value = Argument.value(json, of: argument.type) else {
                throw ToolError("Invalid arguments: \(name): out of range", status: 400)
            }
            values.append(value)
        }
        return values
    }
}

extension StoreValue {
    /// The value in a result; nil when it is not of the type.
    func json(as type: StatementType?) -> JSONValue? {
        switch (self, type) {
        case (.null, _): .null
        case (.integer(let number), nil), (.integer(let number), .integer), (.integer(let number), .number):
            .number(Int(number))
        case (.integer(let number), .boolean): number == 0 || number == 1 ? .bool(number == 1) : nil
        case (.integer(let number), .string): .string(String(number))
        // JSON has neither infinity nor NaN.
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
