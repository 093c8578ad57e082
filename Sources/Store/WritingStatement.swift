package import Foundation

/// One SQL statement that writes: an INSERT, UPDATE or DELETE, not yet compared with a database.
package struct WritingStatement: Hashable, Sendable {
    /// First word of the statement.
    package enum Verb: String, Sendable {
        case insert = "INSERT"
        case update = "UPDATE"
        case delete = "DELETE"
    }

    /// The statement's text and parameters.
    package let text: StatementText
    /// First word of the statement.
    package let verb: Verb
    /// Name of the table that the statement writes to, without its schema, in lower case.
    package let table: String
    /// Schema of that table in lower case; nil where the statement names none.
    package let schema: String?

    /// Reads a statement.
    /// - Parameter types: declared types by parameter name.
    /// - Throws: ``StatementError`` for what ``StatementText`` refuses, for any other verb (a WITH in front of the verb among
    ///   them), for `INSERT OR …` and `UPDATE OR …`, whose REPLACE removes rows that no engine counts, and for a system table.
    package init(parsing sql: String, types: [String: StatementParameterType] = [:]) throws(StatementError) {
        text = try StatementText(parsing: sql, types: types)
        let tokens = text.tokens
        guard let first = tokens.first, let verb = Verb(rawValue: first) else {
            let found = tokens.first ?? ""
            throw .malformed("a statement that writes begins with INSERT, UPDATE or DELETE, found \(found.prefix(40))")
        }
        self.verb = verb
        if tokens.dropFirst().first == "OR" {
            throw .malformed("\(first) OR …; write ON CONFLICT behind an INSERT instead")
        }
        // PostgreSQL reads escapes in U&"…", which this scanner does not.
        for index in tokens.indices.dropLast(2)
        where tokens[index] == "U" && tokens[index + 1] == "&" && tokens[index + 2].hasPrefix("\"") {
            throw .malformed("names with Unicode escapes (U&\"…\") are not taken; write the characters themselves")
        }
        var names = Self.target(verb, tokens)
        guard let table = names.popLast() else { throw .malformed("the table that \(first) writes to is not named") }
        self.table = table
        schema = names.last
        if table.hasPrefix("pg_") || table.hasPrefix("sqlite_") || table == WriteJournal.table
            || ["pg_catalog", "information_schema"].contains(schema)
        {
            throw .malformed("\(table.prefix(64)) is a table of the system")
        }
    }

    /// Names of the parameters in order of first appearance.
    package var parameters: [String] { text.parameters }

    /// Indicates whether the statement can change or remove existing rows: all but an INSERT without `DO UPDATE`.
    package var isDestructive: Bool {
        verb != .insert || zip(text.tokens, text.tokens.dropFirst()).contains { $0 == ("DO", "UPDATE") }
    }

    /// Names that the statement may call as functions: those in front of a parenthesis, and those behind a point, because
    /// PostgreSQL reads `row.name` as `name(row)` where no column has the name. As PostgreSQL folds them.
    package var possibleCalls: (functions: [String], fields: [String]) {
        let tokens = text.tokens
        var functions: Set<String> = []
        var fields: Set<String> = []
        for (index, token) in tokens.enumerated() {
            guard let name = Self.name(token) else { continue }
            if index + 1 < tokens.count, tokens[index + 1] == "(" {
                functions.insert(name)
            } else if index > 0, tokens[index - 1] == "." {
                fields.insert(name)
            }
        }
        return (functions.sorted(), fields.sorted())
    }

    /// Returns the parts of the name of the table, in lower case; empty where it cannot be told.
    private static func target(_ verb: Verb, _ tokens: [String]) -> [String] {
        var rest = tokens.dropFirst()
        switch verb {
        case .insert: guard rest.popFirst() == "INTO" else { return [] }
        case .delete: guard rest.popFirst() == "FROM" else { return [] }
        case .update: break
        }
        if rest.first == "ONLY" { rest = rest.dropFirst() }
        var names: [String] = []
        while let name = rest.popFirst().flatMap(name) {
            names.append(name.lowercased())
            guard rest.first == "." else { break }
            rest = rest.dropFirst()
        }
        return names
    }

    /// Returns the name that a token stands for, as PostgreSQL folds it; nil for a mark, a literal or a parameter.
    private static func name(_ token: String) -> String? {
        if token.hasPrefix("\"") { return String(token.dropFirst().dropLast()) }
        guard let first = token.unicodeScalars.first, first == "_" || first.properties.isAlphabetic else { return nil }
        return token.lowercased()
    }
}

/// Execution of configured statements that write, each in one transaction and at most once for each key.
package protocol StatementWriter: Sendable {
    /// Compiles a statement without running it. Blocks; for start-up and `check`.
    /// - Parameter session: Names of the variables that are set where the statement runs.
    /// - Returns: The columns that its RETURNING gives, in order; empty without one.
    /// - Throws: ``StatementError`` when the database rejects it, when it does not write, or when it calls a function that
    ///   may write by itself; ``StoreError`` when the database is unavailable.
    func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn]

    /// Returns the same columns without blocking, for a server in operation.
    func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn]

    /// Runs a statement in a transaction of its own, which also records its result under the key. Where the key is recorded
    /// already, nothing is run, and the recorded result is returned.
    ///
    /// A write that the loss of the connection left in doubt is tried again under its key, so that it is made once.
    /// - Throws: ``StatementWriteError``, ``StatementError``, ``StoreError``, the errors of ``StatementWrite/result``;
    ///   `CancellationError` when the task was cancelled. Nothing was written then, except where the error says so.
    func write(_ write: StatementWrite) async throws -> WriteOutcome

    /// Returns the result that is recorded under a key; nil where there is none.
    /// - Throws: ``StatementWriteError/keyUsed``, ``StoreError``.
    func recorded(_ key: WriteKey) async throws -> String?

    /// Removes recorded results that expired before a time, at most `limit`; returns their number.
    func removeRecordedWrites(before date: Date, limit: Int) async throws -> Int
}

/// One run of a statement that writes.
package struct StatementWrite: Sendable {
    /// The statement.
    package let statement: WritingStatement
    /// One value for each of the statement's parameters, in their order.
    package let arguments: [StoreValue]
    /// Variables of the statement's transaction, for the database's own rules.
    package let session: [SessionVariable]
    /// Key under which it is made once.
    package let key: WriteKey
    /// Largest number of rows that it may change; more are rolled back.
    package let maxRows: Int
    /// Indicates whether the statement returns rows.
    package let returnsRows: Bool
    /// Time after which the statement is interrupted.
    package let timeout: Duration
    /// Makes the text that is recorded, of the number of changed rows and the rows that RETURNING gives. An error that it
    /// throws rolls the write back.
    package let result: @Sendable (Int, [[StoreValue]]) throws -> String

    /// Largest text that is recorded as a result, in bytes; a larger one is rolled back.
    package static let maximumResult = 1 << 20

    /// Creates a run; see the properties.
    package init(
        _ statement: WritingStatement, arguments: [StoreValue], session: [SessionVariable], key: WriteKey, maxRows: Int,
        returnsRows: Bool, timeout: Duration, result: @escaping @Sendable (Int, [[StoreValue]]) throws -> String
    ) {
        self.statement = statement
        self.arguments = arguments
        self.session = session
        self.key = key
        self.maxRows = maxRows
        self.returnsRows = returnsRows
        self.timeout = timeout
        self.result = result
    }

    /// Returns the text to record for what the statement did.
    /// - Throws: ``StatementWriteError`` for too many rows or too large a result; the errors of ``result``.
    package func checked(changed: Int, rows: [[StoreValue]]) throws -> String {
        guard changed <= maxRows else { throw StatementWriteError.tooManyRows }
        let text = try result(changed, rows)
        guard text.utf8.count <= Self.maximumResult else { throw StatementWriteError.resultTooLarge }
        return text
    }
}

/// Result of a statement that writes.
package struct WriteOutcome: Hashable, Sendable {
    /// Recorded text.
    package let result: String
    /// True if the write was made by an earlier run under the same key.
    package let isReplay: Bool
}

/// Error of a statement that writes, beside those of the statement and the database.
package enum StatementWriteError: Error, Hashable, Sendable {
    /// The statement changed more rows than it may; rolled back.
    case tooManyRows
    /// The rows that it returned are larger than what is recorded; rolled back.
    case resultTooLarge
    /// The key was used for a call with other arguments; nothing was run.
    case keyUsed
    /// The connection was lost while the transaction was being committed, and could not be made again to find out.
    case unknown
}
