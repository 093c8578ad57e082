import HTTPSyntax
import JSON
import JSONConfiguration
import MCPServer
import Store

/// A tool that is one SQL statement: an entry of the `sqlTools` section, named by the tool's name.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `statement` | string | required | one statement; parameters are written `:name` |
/// | `writes` | boolean | false | the statement writes: ``Write`` |
/// | `title`, `description` | string | name, – | title for people, description for models |
/// | `arguments.NAME` | section | – | ``Argument``: one for each parameter of the statement |
/// | `columns` | object | the statement's | result column → `string`, `integer`, `number`, `boolean` |
/// | `limit` | integer | 100 | most rows answered |
/// | `timeout` | duration | 5 s | after which the database is told to stop |
/// | `session` | object | – | PostgreSQL: variable of the transaction → ``CallerSource`` |
///
/// A server that starts without its database (`databaseWait`) describes only columns that are declared; the statement
/// is compared with the database before it is run for the first time.
package struct SQLToolConfiguration: Sendable {
    let name: String
    /// The statement, where it reads; nil for one that writes, and for one that is not accepted.
    let statement: ReadOnlyStatement?
    /// The statement, where it writes.
    let write: Write?
    let title: String?
    let description: String?
    let arguments: [Argument]
    /// Declared types of result columns, in the order of the file; empty: the types that the statement reports.
    let columns: [StatementColumn]
    let limit: Int
    let timeout: Duration
    /// Variables of the transaction and what they say of the caller.
    let session: [(name: String, source: CallerSource)]

    /// Reads one entry. Errors are recorded in the reader.
    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        let sql = reader.requiredString(
            "statement",
            "SQL statement that only reads, or with writes one INSERT, UPDATE or DELETE; parameters are written :name.",
            example: "SELECT id, name FROM psm_project WHERE owner_id = :owner")
        let writes = reader.bool(
            "writes", default: false,
            "true: the statement is one INSERT, UPDATE or DELETE. It runs in a transaction of its own, at most once for each "
                + "idempotency key.")
        title = reader.optionalString(
            "title", "Title of the tool for people. Default: the tool's name.", example: "Projects of an owner")
        description = reader.optionalString(
            "description", "Description of the tool for models.", example: "Finds the projects of an owner.")
        arguments = reader.map(
            "arguments", "Arguments, by the name of the statement's parameter.", of: "argument"
        ) { Argument(name: $0, $1) }.map(\.value)
        columns = Self.columns(reader)
        limit = reader.integer(
            "limit", default: 100, in: 1...10_000,
            "Largest number of rows in a result; further rows are left out and the result says so.")
        timeout = reader.duration(
            "timeout", default: .seconds(5), in: .milliseconds(1) ... .seconds(600),
            "Time limit of the statement; then the call fails.")
        session = Self.session(reader)
        write = Self.write(writes ? sql : nil, arguments, reader)
        statement = writes ? nil : Self.statement(sql, arguments, reader)
        if let text = write?.statement.text ?? statement?.text { checkParameters(text, reader) }
        if !Self.isToolName(name) {
            reader.fail(nil, expected: "a name of 1 to 64 letters, digits, _, - and .", found: "\"\(name.printable)\"")
        }
    }

    private static func statement(
        _ sql: String, _ arguments: [Argument], _ reader: ConfigurationReader
    ) -> ReadOnlyStatement? {
        guard reader.isPresent("statement") else { return nil }
        do {
            return try ReadOnlyStatement(parsing: sql, types: types(arguments))
        } catch {
            reader.fail("statement", expected: "one statement that only reads", found: error.description)
            return nil
        }
    }

    /// Returns the types of a statement's parameters.
    static func types(_ arguments: [Argument]) -> [String: StatementParameterType] {
        Dictionary(arguments.map { ($0.name, $0.parameterType) }, uniquingKeysWith: { $1 })
    }

    private func checkParameters(_ statement: StatementText, _ reader: ConfigurationReader) {
        for name in statement.parameters where !arguments.contains(where: { $0.name == name }) {
            reader.fail("arguments.\(name)", expected: "a section, as the statement has :\(name)", found: "nothing")
        }
        for argument in arguments where !statement.parameters.contains(argument.name) {
            let known = statement.parameters.map { ":" + $0 }.joined(separator: ", ")
            reader.fail(
                "arguments.\(argument.name)",
                expected: known.isEmpty ? "no arguments, as the statement has none" : "a parameter: \(known)",
                found: ":\(argument.name.printable)")
        }
    }

    /// Indicates whether the statement needs to know who is asking.
    var needsCaller: Bool { !session.isEmpty || arguments.contains { $0.source != nil } }

    /// Error for callers when the statement cannot be run.
    var failure: ToolError { ToolError("The statement of \(name) failed") }

    /// Returns the error of a key whose value does not fit the database.
    func refusal(_ key: String, _ expected: String, _ found: String) -> ConfigurationErrors {
        ConfigurationErrors([
            ConfigurationError(path: "toolServer.sqlTools.\(name).\(key)", expected: expected, found: found)
        ])
    }

    private static func session(_ reader: ConfigurationReader) -> [(name: String, source: CallerSource)] {
        let json = reader.json(
            "session",
            "Variables that are set in the statement's transaction, so that PostgreSQL's row-level security knows who is "
                + "asking: name with a dot, such as app.user_id, and where the value comes from (caller.id, caller.name, "
                + "caller.scopes or claim:/POINTER). Anonymous callers are refused.",
            example: ["app.user_id": "caller.id"])
        guard let json, !json.isNull else { return [] }
        guard let object = json.object else {
            reader.fail("session", expected: "an object of variable and source", found: String(json.text.prefix(80)))
            return []
        }
        return object.compactMap { name, value in
            guard let source = value.string.flatMap(CallerSource.init), isVariable(name) else {
                reader.fail(
                    "session.\(name.printable)",
                    expected: "a name such as app.user_id and one of \(CallerSource.expectation)",
                    found: String(value.text.prefix(80)))
                return nil
            }
            return (name, source)
        }
    }

    /// Name of a variable that is not a setting of PostgreSQL: those have no dot.
    private static func isVariable(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count > 1 && name.utf8.count <= 120
            && parts.allSatisfy { part in
                part.utf8.first.map { $0 == 0x5F || ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A } == true
                    && part.utf8.allSatisfy { byte in
                        switch byte {
                        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
                        default: false
                        }
                    }
            }
    }

    private static func columns(_ reader: ConfigurationReader) -> [StatementColumn] {
        let text = "Result columns and their types; absent: those of the statement."
        guard let declared = reader.json("columns", text, example: ["id": "integer", "name": "string"]),
            !declared.isNull
        else { return [] }
        let columns = (declared.object ?? [:]).compactMap { name, type in
            type.string.flatMap(StatementType.init).map { StatementColumn(name: name, type: $0) }
        }
        if columns.isEmpty || columns.count != declared.object?.keys.count {
            let known = StatementType.allCases.map(\.rawValue).joined(separator: ", ")
            reader.fail(
                "columns", expected: "an object of column and type: \(known)", found: String(declared.text.prefix(80)))
        }
        return columns
    }

    private static func isToolName(_ name: String) -> Bool {
        // `<name>` stands for any name while the schema is made.
        if name.hasPrefix("<"), name.hasSuffix(">") { return true }
        return (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
    }
}
