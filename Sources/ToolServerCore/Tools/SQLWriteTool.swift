import Crypto
import Foundation
import JSON
import MCP
import MCPServer
import Store

/// A tool that runs one SQL statement of the configuration, which writes: after the user has confirmed it, in one
/// transaction, and once however often the call is repeated.
struct SQLWriteTool: Tool {
    let definition: ToolDefinition

    private let configuration: SQLToolConfiguration
    private let write: SQLToolConfiguration.Write
    private let columns: SQLToolColumns
    private let writer: any StatementWriter
    /// Time for which a result is kept under its key.
    private let retention: Duration
    private let now: @Sendable () -> Date

    /// Compares the statement with the database, if that is available.
    /// - Parameter isExternal: True if the database is not the server's own.
    /// - Throws: The errors of ``SQLToolColumns``; `ConfigurationErrors` for a table that only the server writes to.
    init(
        _ configuration: SQLToolConfiguration, _ write: SQLToolConfiguration.Write, writer: any StatementWriter,
        isExternal: Bool, retention: Duration, now: @escaping @Sendable () -> Date
    ) throws {
        let statement = write.statement
        guard isExternal || !InternalTables.contains(statement.table) else {
            throw configuration.refusal(
                "statement", "a table that the server does not keep for itself", statement.table.printable)
        }
        let session = configuration.session.map(\.name)
        columns = try SQLToolColumns(configuration) {
            try writer.describe(statement, session: session)
        } ask: {
            try await writer.columns(of: statement, session: session)
        }
        self.configuration = configuration
        self.write = write
        self.writer = writer
        self.retention = retention
        self.now = now
        definition = Self.definition(configuration, write, columns.known)
    }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        guard write.allowsAnonymous || context.principal != nil else { throw ToolError.notAuthenticated }
        let values = try configuration.bound(arguments, in: write.statement.text, for: context.principal)
        let session = try configuration.sessionVariables(for: context.principal)
        // Before the question: the user is not asked about a statement that the database does not take, or while it is away.
        let columns = try await translating(context) { try await self.columns.columns() }
        let call = Self.digest([.object(arguments)])
        let key: WriteKey
        switch try await decide(arguments, call, context) {
        case .recorded(let text): return try result(text)
        case .write(let decided): key = decided
        }
        let run = StatementWrite(
            write.statement, arguments: values, session: session, key: key, maxRows: write.maxRows,
            returnsRows: !columns.isEmpty, timeout: configuration.timeout
        ) { [configuration] changed, rows in
            let results: [JSONValue] =
                columns.isEmpty
                ? [["changed": .number(changed)]] : try rows.map { try configuration.json($0, columns) }
            return JSONValue.object(["results": .array(results)]).text
        }
        let outcome = try await translating(context) { try await writer.write(run) }
        context.logger.info(
            "statement written",
            metadata: ["tool": "\(configuration.name)", "replay": "\(outcome.isReplay)"])
        return try result(outcome.result)
    }

    private func result(_ text: String) throws -> CallToolResult {
        guard let json = try? JSONValue(parsing: text) else { throw configuration.failure }
        return .structured(json)
    }

    // MARK: Keys and questions

    private enum Decision {
        case recorded(String)
        case write(WriteKey)
    }

    /// State of a question on its way through a client of 2026-07-28.
    private struct Asked {
        /// Key under which the confirmed call is made.
        let key: String
        /// Digest of what the user was asked, and of the statement behind it.
        let subject: String

        var json: JSONValue { ["key": .string(key), "subject": .string(subject)] }

        init(key: String, subject: String) {
            self.key = key
            self.subject = subject
        }

        init?(json: JSONValue) {
            guard let key = json["key"]?.string, let subject = json["subject"]?.string else { return nil }
            self.init(key: key, subject: subject)
        }
    }

    /// Returns the key of the call: after the user's confirmation, where one is needed.
    /// - Throws: ``ToolError`` when the user does not confirm or cannot be asked; the errors of ``ToolContext/ask(_:state:)``
    ///   that clients of 2026-07-28 answer.
    private func decide(_ arguments: JSONObject, _ call: [UInt8], _ context: ToolContext) async throws -> Decision {
        let given = try Self.givenKey(context).map { "caller:" + $0 }
        // What was made already needs no question.
        if let given,
            let text = try await translating(context, { try await writer.recorded(key(given, call, context)) })
        {
            return .recorded(text)
        }
        if let confirmed = context.confirmation { return .write(key(given ?? "agent:" + confirmed, call, context)) }
        guard let question = write.question else {
            return .write(key(given ?? "own:" + UUID().uuidString, call, context))
        }
        let text = configuration.text(of: question, arguments) { source in
            context.principal.flatMap { source.value(of: $0) }
        }
        let subject = Data(Self.digest([.string(text), .string("\(write.statement.text.parts)")])).base64EncodedString()
        var asked = Asked(key: given ?? "own:" + UUID().uuidString, subject: subject)
        // Only the server makes the state. What was asked before a restart may not be what the statement does now.
        if let before = context.state.flatMap(Asked.init(json:)), before.subject == subject { asked = before }
        try await confirm(text, asked, context)
        return .write(key(asked.key, call, context))
    }

    private func confirm(_ text: String, _ asked: Asked, _ context: ToolContext) async throws {
        // The name is not known before the question is asked, so that no call brings an answer along.
        let name = "confirm-" + Self.digest([.string(asked.key)]).prefix(8).map { String($0, radix: 16) }.joined()
        let action: ElicitResult.Action
        do {
            action = try await context.elicit(
                text, schema: ["type": "object", "properties": [:]], key: name, state: asked.json
            ).action
        } catch let error where error is ClientQuestionError || context.version.era == .legacy && error is JSONRPCError
        {
            throw ToolError(
                "\(configuration.name) runs only when the user confirms it, and the user cannot be asked: \(error)")
        } catch let error as MCPDecodingError {
            throw ToolError("The answer to the question cannot be read: \(error.message)")
        }
        guard action == .accept else { throw ToolError("The user did not confirm; nothing was changed") }
    }

    /// Returns the idempotency key that the caller gives.
    private static func givenKey(_ context: ToolContext) throws -> String? {
        guard let json = context.meta[MCPMeta.idempotencyKey], !json.isNull else { return nil }
        guard let key = json.string, (1...200).contains(key.utf8.count) else {
            throw ToolError("\(MCPMeta.idempotencyKey): expected a string of 1 to 200 bytes", status: 400)
        }
        return key
    }

    /// A key belongs to a caller and a tool.
    private func key(_ key: String, _ call: [UInt8], _ context: ToolContext) -> WriteKey {
        WriteKey(
            digest: Self.digest([
                .string(configuration.name), context.principal.map { .string($0.id) } ?? .null, .string(key),
            ]), call: call, expiresAt: now().addingTimeInterval(retention / .seconds(1)))
    }

    private static func digest(_ parts: [JSONValue]) -> [UInt8] {
        Array(SHA256.hash(data: JSONValue.array(parts).sorted.serialized))
    }

    // MARK: Errors

    /// Returns what `body` returns; turns its errors into texts for callers.
    private func translating<Value>(
        _ context: ToolContext, _ body: () async throws -> Value
    ) async throws -> Value {
        try await configuration.translating(context) {
            do {
                return try await body()
            } catch StatementError.violation(let rule) {
                throw ToolError("Nothing was changed: \(rule)")
            } catch let error as StatementWriteError {
                throw told(error, context)
            }
        }
    }

    private func told(_ error: StatementWriteError, _ context: ToolContext) -> ToolError {
        switch error {
        case .tooManyRows:
            let most = write.maxRows == 1 ? "1 row" : "\(write.maxRows) rows"
            return ToolError("Nothing was changed: more than \(most) would have been")
        case .resultTooLarge: return ToolError("Nothing was changed: the rows to return are too large")
        case .keyUsed:
            return ToolError("The idempotency key was used for a call with other arguments", status: 409)
        case .unknown:
            context.logger.error("write in doubt", metadata: ["tool": "\(configuration.name)"])
            return ToolError(
                "The database was lost; it is not known whether the change was made. Repeat the call with the same "
                    + "idempotency key, or the same answer, to find out", status: 503)
        }
    }

    // MARK: Definition

    private static func definition(
        _ configuration: SQLToolConfiguration, _ write: SQLToolConfiguration.Write, _ columns: [StatementColumn]
    ) -> ToolDefinition {
        let row: JSONValue =
            columns.isEmpty
            ? [
                "type": "object",
                "properties": ["changed": ["type": "integer", "description": "Number of changed rows."]],
            ]
            : SQLToolConfiguration.rowSchema(columns)
        return ToolDefinition(
            name: configuration.name, title: configuration.title ?? configuration.name,
            description: configuration.description, inputSchema: configuration.inputSchema,
            outputSchema: [
                "type": "object",
                "properties": ["results": ["type": "array", "items": row, "maxItems": .number(write.maxRows)]],
                "required": ["results"],
            ],
            annotations: ToolAnnotations(
                readOnlyHint: false, destructiveHint: write.statement.isDestructive,
                idempotentHint: write.isIdempotent, openWorldHint: false))
    }
}
