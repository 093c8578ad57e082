package import Store

/// Execution of configured statements in PostgreSQL, in read-only transactions.
struct PostgreSQLStatements: Sendable {
    let pool: PostgreSQLPool

    func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn] {
        do {
            return try pool.runBlocking { try Self.columns(of: statement, $0) }
        } catch let failure as PostgreSQLFailure {
            throw Self.refusal(describing: failure)
        }
    }

    func columns(of statement: ReadOnlyStatement) async throws -> [StatementColumn] {
        do {
            return try await pool.run { try Self.columns(of: statement, $0) }
        } catch let failure as PostgreSQLFailure {
            throw Self.refusal(describing: failure)
        }
    }

    private static func columns(
        of statement: ReadOnlyStatement, _ connection: PostgreSQLConnection
    ) throws -> [StatementColumn] {
        // In the form in which it is written, for a meaningful error of the server.
        let columns = try connection.describe(text(statement))
        // As a subquery: there it cannot be a statement that changes rows. Run with a limit of zero rows, because the
        // server checks for writes and locks only when a statement starts.
        do {
            let values = statement.parameters.map { _ in PostgreSQLValue.null } + [.integer(0)]
            try connection.transaction(readOnly: true) { _ = try connection.execute(wrapped(statement), values) }
        } catch let failure as PostgreSQLFailure where ["25006", "42601", "0A000"].contains(failure.code) {
            throw StatementRefusal.writes
        }
        return columns.map { StatementColumn(name: $0.name, type: type($0.type)) }
    }

    private static func refusal(describing failure: PostgreSQLFailure) -> any Error {
        isOfTheStatement(failure) ? StatementRefusal.rejected(failure.primary) : failure.storeError
    }

    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows {
        let wrapped = Self.wrapped(statement)
        let values = arguments.map(PostgreSQLValue.init) + [.integer(Int64(limit) + 1)]
        do {
            return try await pool.run { connection in
                var rows: [[StoreValue]] = []
                try connection.transaction(readOnly: true, statementTimeout: timeout) {
                    _ = try connection.execute(wrapped, values) { row in
                        rows.append((0..<row.count).map { Self.value(row, $0) })
                    }
                }
                return StatementRows(rows: Array(rows.prefix(limit)), truncated: rows.count > limit)
            }
        } catch let failure as PostgreSQLFailure {
            if failure.code == "25006" { throw StatementRefusal.writes }
            guard Self.isOfTheStatement(failure) else { throw failure.storeError }
            // The server's own message may quote values of other users' rows.
            throw StatementRefusal.rejected(Self.explanation(failure.code))
        }
    }

    private static func text(_ statement: ReadOnlyStatement) -> String {
        statement.text { "$\($0 + 1)\(cast(statement.types[$0]))" }
    }

    private static func wrapped(_ statement: ReadOnlyStatement) -> String {
        // On lines of its own, because the text may end with a comment.
        "SELECT * FROM (\n\(text(statement))\n) AS statement LIMIT $\(statement.parameters.count + 1)::bigint"
    }

    private static func cast(_ type: StatementType?) -> String {
        switch type {
        case .string: "::text"
        case .integer: "::bigint"
        case .number: "::double precision"
        case .boolean: "::boolean"
        case nil: ""
        }
    }

    /// Returns the type for a number of PostgreSQL's catalogue (`pg_type.dat`).
    private static func type(_ number: UInt32) -> StatementType {
        switch number {
        case 16: .boolean
        case 20, 21, 23, 26: .integer
        case 700, 701, 1700: .number
        default: .string
        }
    }

    static func value(_ row: PostgreSQLRow, _ column: Int32) -> StoreValue {
        guard let text = row[column] else { return .null }
        switch row.type(column) {
        case 16: return .boolean(text == "t")
        case 20, 21, 23, 26: return Int64(text).map { .integer($0) } ?? .text(text)
        case 700, 701, 1700: return Double(text).map { .real($0) } ?? .text(text)
        case 17: return row.bytes(column).map { .blob($0) } ?? .null
        default: return .text(text)
        }
    }

    /// Returns whether an error is caused by the statement: syntax, names, types, values, or forbidden actions.
    private static func isOfTheStatement(_ failure: PostgreSQLFailure) -> Bool {
        ["0A", "21", "22", "23", "2F", "38", "39", "42", "54", "P0"].contains(String(failure.code.prefix(2)))
            && failure.code != "42501"
    }

    private static func explanation(_ code: String) -> String {
        switch code {
        case "22012": "division by zero"
        case "22003": "a number is out of range"
        case "22P02", "22007", "22008": "a value has the wrong form for its type"
        case "21000": "a subquery gave more than one row"
        case "42P01": "a table is not there any more"
        case "42703": "a column is not there any more"
        default: "the database refused the statement (\(code))"
        }
    }
}

extension PostgreSQLValue {
    init(_ value: StoreValue) {
        switch value {
        case .null: self = .null
        case .boolean(let flag): self = .bool(flag)
        case .integer(let number): self = .integer(number)
        case .real(let number): self = .real(number)
        case .text(let text): self = .text(text)
        case .blob(let bytes): self = .bytes(bytes)
        }
    }
}

extension PostgreSQLStore {
    package func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn] {
        try PostgreSQLStatements(pool: pool).describe(statement)
    }

    package func columns(of statement: ReadOnlyStatement) async throws -> [StatementColumn] {
        try await prepare()
        return try await PostgreSQLStatements(pool: pool).columns(of: statement)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows {
        try await prepare()
        return try await PostgreSQLStatements(pool: pool)
            .run(statement, arguments: arguments, limit: limit, timeout: timeout)
    }
}
