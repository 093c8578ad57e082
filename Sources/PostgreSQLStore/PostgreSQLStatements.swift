package import Store

/// Execution of configured statements in PostgreSQL, in read-only transactions.
struct PostgreSQLStatements: Sendable {
    let pool: PostgreSQLPool

    func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn] {
        do {
            return try pool.runBlocking { try Self.columns(of: statement, session, $0) }
        } catch let failure as PostgreSQLError {
            throw Self.refusal(describing: failure)
        }
    }

    func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn] {
        do {
            return try await pool.run { try Self.columns(of: statement, session, $0) }
        } catch let failure as PostgreSQLError {
            throw Self.refusal(describing: failure)
        }
    }

    private static func columns(
        of statement: ReadOnlyStatement, _ session: [String], _ connection: PostgreSQLConnection
    ) throws -> [StatementColumn] {
        // In the form in which it is written, for a meaningful error of the server.
        let columns = try connection.describe(text(statement.text))
        // As a subquery: there it cannot be a statement that changes rows. Run with a limit of zero rows, because the
        // server checks for writes and locks only when a statement starts.
        do {
            let values = statement.parameters.map { _ in PostgreSQLValue.null } + [.integer(0)]
            try connection.transaction(.readOnly) {
                try connection.set(session.map { SessionVariable(name: $0, value: "") })
                _ = try connection.execute(wrapped(statement), values)
            }
        } catch let failure as PostgreSQLError where ["25006", "42601", "0A000"].contains(failure.code) {
            throw StatementError.writes
        } catch let failure as PostgreSQLError where !session.isEmpty && failure.code.hasPrefix("22") {
            // A policy reads the variable as a number, say, which an empty text is not. That the statement only reads is seen
            // to by its transaction, whatever it does.
        }
        return columns.map { StatementColumn(name: $0.name, type: type($0.type)) }
    }

    private static func refusal(describing failure: PostgreSQLError) -> any Error {
        isOfTheStatement(failure) ? StatementError.rejected(failure.primary) : failure.storeError
    }

    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows {
        let wrapped = Self.wrapped(statement)
        let values = arguments.map(PostgreSQLValue.init) + [.integer(Int64(limit) + 1)]
        do {
            return try await pool.run { connection in
                var collected = CollectedRows(limit: limit)
                try connection.transaction(.readOnly, statementTimeout: timeout) {
                    try connection.set(session)
                    _ = try connection.execute(wrapped, values) { row in
                        collected.add((0..<row.count).map { Self.value(row, $0) })
                    }
                }
                return collected.rows
            }
        } catch let failure as PostgreSQLError {
            if failure.code == "25006" { throw StatementError.writes }
            guard Self.isOfTheStatement(failure) else { throw failure.storeError }
            // The server's own message may quote values of other users' rows.
            throw StatementError.rejected(Self.explanation(failure.code))
        }
    }

    func bypassesRowSecurity() async throws -> Bool {
        try await PostgreSQLStore.translating {
            try await pool.run { connection in
                try connection.first(
                    "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
                ) { $0.bool(0) } ?? false
            }
        }
    }

    /// The text with PostgreSQL's placeholders; a list is the text of a JSON array.
    static func text(_ statement: StatementText) -> String {
        statement.text { number in
            let type = statement.types[number]
            guard type?.isList == true else { return "$\(number + 1)\(cast(type))" }
            let elements = "jsonb_array_elements_text($\(number + 1)::jsonb) AS elements (element)"
            return "SELECT element\(cast(type)) FROM \(elements)"
        }
    }

    private static func wrapped(_ statement: ReadOnlyStatement) -> String {
        // On lines of its own, because the text may end with a comment.
        "SELECT * FROM (\n\(text(statement.text))\n) AS statement LIMIT $\(statement.parameters.count + 1)::bigint"
    }

    private static func cast(_ type: StatementParameterType?) -> String {
        switch type?.type {
        case .string:
            switch type?.moment {
            case .date: "::date"
            case .instant: "::timestamptz"
            case nil: "::text"
            }
        case .integer: "::bigint"
        case .number: "::double precision"
        case .boolean: "::boolean"
        case nil: ""
        }
    }

    /// Returns the type for a number of PostgreSQL's catalogue (`pg_type.dat`).
    static func type(_ number: UInt32) -> StatementType {
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
    static func isOfTheStatement(_ failure: PostgreSQLError) -> Bool {
        ["0A", "21", "22", "23", "2F", "38", "39", "42", "54", "P0"].contains(String(failure.code.prefix(2)))
            && failure.code != "42501"
    }

    static func explanation(_ code: String) -> String {
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

extension PostgreSQLConnection {
    /// Sets variables until the transaction at hand ends.
    func set(_ variables: [SessionVariable]) throws {
        guard !variables.isEmpty else { return }
        try execute(
            "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS variables (name, value)",
            [.texts(variables.map(\.name)), .texts(variables.map(\.value))])
    }
}

extension PostgreSQLStore {
    package func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn] {
        try PostgreSQLStatements(pool: pool).describe(statement, session: session)
    }

    package func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn] {
        try await prepare()
        return try await PostgreSQLStatements(pool: pool).columns(of: statement, session: session)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows {
        try await prepare()
        return try await PostgreSQLStatements(pool: pool)
            .run(statement, arguments: arguments, session: session, limit: limit, timeout: timeout)
    }

    package func bypassesRowSecurity() async throws -> Bool {
        try await PostgreSQLStatements(pool: pool).bypassesRowSecurity()
    }
}
