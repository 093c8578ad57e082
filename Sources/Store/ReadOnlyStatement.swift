/// Runs statements of the configuration that only read.
package protocol StatementRunner: Sendable {
    /// Compiles a statement without running it. Blocks; for the start and for `check`.
    /// - Returns: its result columns in order.
    /// - Throws: ``StatementRefusal`` when the database does not take it, or when it would write; ``StoreError`` when
    ///   the database cannot be asked now.
    func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn]

    /// The same for a server that is at work: blocks nothing.
    func columns(of statement: ReadOnlyStatement) async throws -> [StatementColumn]

    /// Runs a statement. Whatever it does, nothing is written.
    ///
    /// - Parameters:
    ///   - arguments: one for each of the statement's parameters, in their order.
    ///   - limit: the most rows returned.
    ///   - timeout: after which the database is told to stop.
    /// - Throws: ``StatementRefusal``; ``StoreError``, of kind `timeout` when it took too long; `CancellationError` when
    ///   the task was cancelled.
    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows
}

/// The type of an argument or a result column.
package enum StatementType: String, CaseIterable, Hashable, Sendable {
    case string, integer, number, boolean
}

/// A result column.
package struct StatementColumn: Hashable, Sendable {
    /// As the statement names it.
    package let name: String
    /// Nil where the statement does not say, such as of an expression on SQLite.
    package let type: StatementType?

    /// A column; see the properties.
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

    /// Rows; see the properties.
    package init(rows: [[StoreValue]], truncated: Bool) {
        self.rows = rows
        self.truncated = truncated
    }
}

/// Why a statement is not run.
package enum StatementRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is no single statement, or its text does not end.
    case malformed(String)
    /// It would change something.
    case writes
    /// The database's own message.
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
/// Values never become part of the text: an engine puts its own placeholders where the names are.
package struct ReadOnlyStatement: Hashable, Sendable {
    /// A piece of the text.
    package enum Part: Hashable, Sendable {
        case text(String)
        /// A parameter, by its number from 0 on.
        case parameter(Int)
    }

    /// Names of the parameters in order of first appearance, each once, without the colon.
    package let parameters: [String]
    /// Types that the configuration declares, by parameter; nil where it declares none.
    package let types: [StatementType?]
    /// Text and parameters, in their order.
    package let parts: [Part]

    /// Divides a statement into its text and its parameters.
    /// - Parameter types: declared types by parameter name.
    /// - Throws: ``StatementRefusal`` for an empty text, several statements, NUL, text that does not end, or a
    ///   parameter that is not written `:name`.
    package init(parsing sql: String, types: [String: StatementType] = [:]) throws(StatementRefusal) {
        var scanner = StatementScanner(sql)
        try scanner.scan()
        parameters = scanner.parameters
        parts = scanner.parts
        self.types = scanner.parameters.map { types[$0] }
    }

    /// The text with an engine's placeholders.
    /// - Parameter placeholder: of a parameter's number from 0 on: `?1`, or `$1::bigint`.
    package func text(placeholder: (Int) -> String) -> String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .text(let piece): text += piece
            case .parameter(let number): text += placeholder(number)
            }
        }
    }
}
