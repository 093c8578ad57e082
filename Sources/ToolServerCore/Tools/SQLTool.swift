import Foundation
import JSON
import MCP
import MCPServer
import Store

/// A tool that runs one SQL statement of the configuration, which only reads. Values are bound, never written into the
/// statement.
struct SQLTool: Tool {
    let definition: ToolDefinition

    private let configuration: SQLToolConfiguration
    private let statement: ReadOnlyStatement
    private let columns: SQLToolColumns
    private let runner: any StatementRunner

    /// Compares the statement with the database, if that is available.
    /// - Throws: The errors of ``SQLToolColumns``.
    init(_ configuration: SQLToolConfiguration, runner: any StatementRunner) throws {
        guard let statement = configuration.statement else {
            throw configuration.refusal("statement", "one statement that only reads", "nothing")
        }
        let session = configuration.session.map(\.name)
        columns = try SQLToolColumns(configuration) {
            try runner.describe(statement, session: session)
        } ask: {
            try await runner.columns(of: statement, session: session)
        }
        self.configuration = configuration
        self.statement = statement
        self.runner = runner
        definition = Self.definition(configuration, columns.known)
    }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let values = try configuration.bound(arguments, in: statement.text, for: context.principal)
        let session = try configuration.sessionVariables(for: context.principal)
        let (columns, found) = try await configuration.translating(context) {
            // Checked first: a statement that would write is not run at all.
            let columns = try await self.columns.columns()
            let rows = try await runner.run(
                statement, arguments: values, session: session, limit: configuration.limit,
                timeout: configuration.timeout)
            return (columns, rows)
        }
        var result: JSONObject = ["results": .array(try found.rows.map { try configuration.json($0, columns) })]
        if found.truncated { result["truncated"] = true }
        return .structured(.object(result))
    }

    private static func definition(
        _ configuration: SQLToolConfiguration, _ columns: [StatementColumn]
    ) -> ToolDefinition {
        let output: JSONValue = [
            "type": "object",
            "properties": [
                "results": [
                    "type": "array", "items": SQLToolConfiguration.rowSchema(columns),
                    "maxItems": .number(configuration.limit),
                ],
                "truncated": ["type": "boolean", "description": "Whether rows were left out."],
            ],
            "required": ["results"],
        ]
        return ToolDefinition(
            name: configuration.name, title: configuration.title ?? configuration.name,
            description: configuration.description, inputSchema: configuration.inputSchema, outputSchema: output,
            annotations: .lookUp)
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
