/// Execution of configured statements, which may only read.
package protocol StatementRunner: Sendable {
    /// Compiles a statement without running it. Blocks; for start-up and `check`.
    /// - Returns: Its result columns in order.
    /// - Throws: ``StatementRefusal`` when the database rejects it, or when it would write; ``StoreError`` when the
    ///   database is unavailable.
    func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn]

    /// Returns the same columns without blocking, for a server in operation.
    func columns(of statement: ReadOnlyStatement) async throws -> [StatementColumn]

    /// Runs a statement. It cannot write.
    ///
    /// - Parameters:
    ///   - arguments: One value for each of the statement's parameters, in their order.
    ///   - limit: Largest number of rows.
    ///   - timeout: Time after which the query is interrupted.
    /// - Throws: ``StatementRefusal``; ``StoreError``, of kind `timeout` when it took too long; `CancellationError` when
    ///   the task was cancelled.
    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows
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
    /// True if rows were left out because of the limit.
    package let truncated: Bool

    /// Creates rows.
    package init(rows: [[StoreValue]], truncated: Bool) {
        self.rows = rows
        self.truncated = truncated
    }
}

/// Error of a statement that is not run.
package enum StatementRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text is not a single statement, or does not end.
    case malformed(String)
    /// The statement would change data.
    case writes
    /// The database's own error message.
    case rejected(String)

    package var description: String {
        switch self {
        case .malformed(let reason): reason
        case .writes: "the statement does not only read"
        case .rejected(let message): message
        }
    }
}

/// One SQL statement with named parameters (`:name`), not yet compared with a database.
///
/// Values never become part of the text: an engine's placeholders replace the names.
package struct ReadOnlyStatement: Hashable, Sendable {
    /// A piece of the text.
    package enum Part: Hashable, Sendable {
        case text(String)
        /// A parameter, by its number from 0.
        case parameter(Int)
    }

    /// Names of the parameters in order of first appearance, each once, without the colon.
    package let parameters: [String]
    /// Types that the configuration declares, by parameter; nil where it declares none.
    package let types: [StatementType?]
    /// Text and parameters, in their order.
    package let parts: [Part]

    /// Divides a statement into its text and its parameters.
    /// - Parameter types: Declared types by parameter name.
    /// - Throws: ``StatementRefusal`` for an empty text, several statements, NUL, text that does not end, or a
    ///   parameter in another form than `:name`.
    package init(parsing sql: String, types: [String: StatementType] = [:]) throws(StatementRefusal) {
        var scanner = StatementScanner(sql)
        try scanner.scan()
        parameters = scanner.parameters
        parts = scanner.parts
        self.types = scanner.parameters.map { types[$0] }
    }

    /// Returns the text with an engine's placeholders.
    /// - Parameter placeholder: Returns the placeholder for a parameter's number from 0: `?1`, or `$1::bigint`.
    package func text(placeholder: (Int) -> String) -> String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .text(let piece): text += piece
            case .parameter(let number): text += placeholder(number)
            }
        }
    }
}
