/// Execution of configured statements, which may only read.
package protocol StatementRunner: Sendable {
    /// Compiles a statement without running it. Blocks; for start-up and `check`.
    /// - Parameter session: Names of the variables that are set where the statement runs.
    /// - Returns: Its result columns in order.
    /// - Throws: ``StatementError`` when the database rejects it, or when it would write; ``StoreError`` when the
    ///   database is unavailable.
    func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn]

    /// Returns the same columns without blocking, for a server in operation.
    func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn]

    /// Runs a statement. It cannot write.
    ///
    /// - Parameters:
    ///   - arguments: One value for each of the statement's parameters, in their order.
    ///   - session: Variables of the statement's transaction, for the database's own rules.
    ///   - limit: Largest number of rows.
    ///   - timeout: Time after which the query is interrupted.
    /// - Throws: ``StatementError``; ``StoreError``, of kind `timeout` when it took too long; `CancellationError` when
    ///   the task was cancelled.
    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows

    /// Indicates whether the database's rules for rows do not count for the role that statements run as.
    /// - Throws: ``StoreError``.
    func bypassesRowSecurity() async throws -> Bool
}

extension StatementRunner {
    /// Compiles a statement that needs no session variables.
    /// - Throws: as the requirement.
    package func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn] {
        try describe(statement, session: [])
    }

    /// Runs a statement without session variables.
    /// - Throws: as the requirement.
    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows {
        try await run(statement, arguments: arguments, session: [], limit: limit, timeout: timeout)
    }
}

/// A variable that is set for the length of a transaction (PostgreSQL's `set_config(name, value, true)`).
package struct SessionVariable: Hashable, Sendable {
    /// Name with a dot, as the database's rules read it by `current_setting`.
    package let name: String
    /// Text without NUL.
    package let value: String

    /// A variable; see the properties.
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// Type of an argument or a result column.
package enum StatementType: String, CaseIterable, Hashable, Sendable {
    case string, integer, number, boolean
}

/// A result column.
package struct StatementColumn: Hashable, Sendable {
    /// Name that the statement gives the column.
    package let name: String
    /// Type of the column; nil where the statement does not determine it, such as for an expression on SQLite.
    package let type: StatementType?

    /// Creates a column.
    package init(name: String, type: StatementType?) {
        self.name = name
        self.type = type
    }
}

/// Rows that a statement returned.
package struct StatementRows: Hashable, Sendable {
    /// Values in the order of the columns.
    package let rows: [[StoreValue]]
    /// True if rows were left out because of a limit on their number or their bytes.
    package let truncated: Bool

    /// Creates rows.
    package init(rows: [[StoreValue]], truncated: Bool) {
        self.rows = rows
        self.truncated = truncated
    }
}

/// Rows of a statement while they are read, within limits on their number and on the bytes of their texts: a column holds
/// whatever was written into it.
package struct CollectedRows {
    /// Largest size of all texts and blobs of a result, in bytes.
    package static let maximumBytes = 8 << 20

    private let limit: Int
    private var values: [[StoreValue]] = []
    private var bytes = 0
    private var truncated = false

    /// - Parameter limit: Largest number of rows.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Adds a row. False when it, and all further ones, are left out.
    @discardableResult
    package mutating func add(_ row: [StoreValue]) -> Bool {
        let size = row.reduce(0) { $0 + $1.textBytes }
        guard !truncated, values.count < limit, size <= Self.maximumBytes - bytes else {
            truncated = true
            return false
        }
        bytes += size
        values.append(row)
        return true
    }

    /// The rows so far.
    package var rows: StatementRows { StatementRows(rows: values, truncated: truncated) }
}

extension StoreValue {
    /// Size of a text or blob, in bytes; 0 for other values.
    fileprivate var textBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        default: 0
        }
    }
}

/// Error of a statement that is not run.
package enum StatementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text is not a single statement, or does not end.
    case malformed(String)
    /// The statement would change data.
    case writes
    /// The database's own error message.
    case rejected(String)
    /// A rule of the database that the values of a call break, in words without any value.
    case violation(String)

    package var description: String {
        switch self {
        case .malformed(let reason): reason
        case .writes: "the statement does not only read"
        case .rejected(let message): message
        case .violation(let rule): rule
        }
    }
}

/// One SQL statement that reads, not yet compared with a database.
package struct ReadOnlyStatement: Hashable, Sendable {
    /// The statement's text and parameters.
    package let text: StatementText

    /// Reads a statement.
    /// - Parameter types: declared types by parameter name.
    /// - Throws: ``StatementError`` for what ``StatementText`` refuses, and for a statement that begins with another word
    ///   than SELECT, WITH or VALUES.
    package init(parsing sql: String, types: [String: StatementParameterType] = [:]) throws(StatementError) {
        text = try StatementText(parsing: sql, types: types)
        // Statements that neither read nor count as writing (BEGIN, ATTACH, PRAGMA, SET) are left out by their first word.
        let verb = text.verb
        guard ["SELECT", "WITH", "VALUES"].contains(verb) else {
            throw .malformed("a statement begins with SELECT, WITH or VALUES, found \(verb.prefix(40))")
        }
    }

    /// Names of the parameters in order of first appearance.
    package var parameters: [String] { text.parameters }
}
