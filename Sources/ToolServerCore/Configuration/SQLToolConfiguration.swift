import HTTPSyntax
import JSON
import JSONConfiguration
import Store

/// A tool that is one SQL statement: an entry of the `sqlTools` section, named by the tool's name.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `statement` | string | required | one statement that only reads; parameters are written `:name` |
/// | `title`, `description` | string | name, – | what clients show and models read |
/// | `arguments.NAME` | section | – | ``Argument``: each parameter of the statement, no other |
/// | `columns` | object | the statement's | result column → `string`, `integer`, `number`, `boolean` |
/// | `limit` | integer | 100 | most rows answered |
/// | `timeout` | duration | 5 s | after which the database is told to stop |
///
/// A server that starts without its database (`databaseWait`) describes only columns that are declared; the statement
/// is compared with the database before it is run for the first time.
package struct SQLToolConfiguration: Sendable {
    /// An argument of the tool, bound to the parameter of the same name.
    ///
    /// | key | type | default | meaning |
    /// |---|---|---|---|
    /// | `type` | `string`, `integer`, `number`, `boolean` | `string` | what is accepted |
    /// | `description` | string | – | what models read |
    /// | `enum` | list of strings | – | the only values of a string |
    /// | `optional` | boolean | false | may be left out: NULL then |
    /// | `default` | of `type` | – | what is bound when it is left out |
    package struct Argument: Sendable {
        let name: String
        let type: StatementType
        let description: String?
        /// Allowed values; empty: any text.
        let choices: [String]
        let isOptional: Bool
        let defaultValue: JSONValue?
    }

    let name: String
    let statement: ReadOnlyStatement?
    let title: String?
    let description: String?
    let arguments: [Argument]
    /// Declared types of result columns, in the order of the file; empty: the types that the statement reports.
    let columns: [StatementColumn]
    let limit: Int
    let timeout: Duration

    /// Reads one entry. Errors are recorded in the reader.
    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        let sql = reader.requiredString(
            "statement", "SQL statement that only reads; parameters are written :name.",
            example: "SELECT id, name FROM psm_project WHERE owner_id = :owner")
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
        let types = Dictionary(arguments.map { ($0.name, $0.type) }, uniquingKeysWith: { $1 })
        do {
            statement = try reader.isPresent("statement") ? ReadOnlyStatement(parsing: sql, types: types) : nil
        } catch {
            reader.fail("statement", expected: "one statement that only reads", found: error.description)
            statement = nil
        }
        checkParameters(reader)
        if !Self.isToolName(name) {
            reader.fail(nil, expected: "a name of 1 to 64 letters, digits, _, - and .", found: "\"\(name.printable)\"")
        }
    }

    private func checkParameters(_ reader: ConfigurationReader) {
        guard let statement else { return }
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

extension SQLToolConfiguration.Argument {
    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        type = reader.choice("type", default: StatementType.string, "Type of the argument.")
        description = reader.optionalString(
            "description", "Description of the argument for models.", example: "Finds the projects of an owner.")
        choices = reader.strings("enum", default: [], "Accepted values of a string; absent: any.")
        isOptional = reader.bool("optional", default: false, "true: the argument may be absent; NULL is bound then.")
        defaultValue = reader.json("default", "Value that is bound when the argument is absent.", example: 10)
        if !choices.isEmpty, type != .string {
            reader.fail("enum", expected: "no enum, as the type is \(type.rawValue)", found: "one")
        }
        if let defaultValue, Self.value(defaultValue, of: type) == nil {
            reader.fail("default", expected: type.rawValue, found: String(defaultValue.text.prefix(80)))
        } else if let text = defaultValue?.string, !choices.isEmpty, !choices.contains(text) {
            reader.fail("default", expected: "one of " + choices.joined(separator: ", "), found: "\"\(text)\"")
        }
    }

    /// True if callers must pass the argument.
    var isRequired: Bool { !isOptional && defaultValue == nil }

    /// Returns the bound value for a JSON value; nil when it is not of the type.
    static func value(_ json: JSONValue, of type: StatementType) -> StoreValue? {
        switch (type, json) {
        case (.string, .string(let text)): .text(text)
        case (.integer, .number(let number)): number.int.map { .integer(Int64($0)) }
        case (.number, .number(let number)): number.double.isFinite ? .real(number.double) : nil
        case (.boolean, .bool(let flag)): .boolean(flag)
        default: nil
        }
    }

    var schema: JSONValue {
        var schema: JSONObject = [:]
        schema["description"] = description.map { .string($0) }
        schema["type"] = .string(type.rawValue)
        if !choices.isEmpty { schema["enum"] = .array(choices.map { .string($0) }) }
        schema["default"] = defaultValue
        return .object(schema)
    }
}
