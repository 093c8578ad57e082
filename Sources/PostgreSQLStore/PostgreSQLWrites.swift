package import Foundation
package import Store
import Synchronization

/// Execution of configured statements that write, in PostgreSQL.
struct PostgreSQLWrites: Sendable {
    let pool: PostgreSQLPool
    /// True for a database that is not the server's own: the table of results is made when it is first needed.
    var makesJournal = false

    /// Largest number of attempts at a write that the server cannot have made: after a lost connection or a deadlock.
    private static let attempts = 3

    /// Functions of PostgreSQL that are volatile and write no table.
    private static let harmless = [
        "random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp", "timeofday", "nextval",
        "currval", "lastval",
    ]

    func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn] {
        do {
            return try pool.runBlocking { [self] in try columns(of: statement, session, $0) }
        } catch let failure as PostgreSQLError {
            throw Self.refusal(describing: failure)
        }
    }

    func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn] {
        do {
            return try await pool.run { [self] in try columns(of: statement, session, $0) }
        } catch let failure as PostgreSQLError {
            throw Self.refusal(describing: failure)
        }
    }

    private func columns(
        of statement: WritingStatement, _ session: [String], _ connection: PostgreSQLConnection
    ) throws -> [StatementColumn] {
        let columns = try connection.describe(PostgreSQLStatements.text(statement.text))
        try Self.checkCalls(of: statement, connection)
        try prepareJournal(connection)
        // Planned but not run: the server checks the role's rights.
        do {
            try connection.transaction {
                try connection.set(session.map { SessionVariable(name: $0, value: "") })
                let sql = "EXPLAIN " + Self.text(statement, returnsRows: !columns.isEmpty)
                let limit: [PostgreSQLValue] = columns.isEmpty ? [] : [.integer(0)]
                try connection.executeOnce(sql, statement.parameters.map { _ in .null } + limit)
            }
        } catch let failure as PostgreSQLError where !session.isEmpty && failure.code.hasPrefix("22") {
            // A policy reads the variable as a number, say, which an empty text is not.
        }
        return columns.map { StatementColumn(name: $0.name, type: PostgreSQLStatements.type($0.type)) }
    }

    /// Refuses functions and operators that may change something by themselves, because nothing counts what they do: all
    /// volatile ones but a few of PostgreSQL's own. Those of defaults, triggers and policies belong to the schema.
    private static func checkCalls(of statement: WritingStatement, _ connection: PostgreSQLConnection) throws {
        let calls = statement.possibleCalls
        let text = statement.text.text { _ in "" }
        let name = try connection.first(
            """
            SELECT proname::text FROM pg_proc
            WHERE provolatile = 'v'
                AND NOT (pronamespace = 'pg_catalog'::regnamespace AND proname::text = ANY ($1::text[]))
                AND (proname::text = ANY ($2::text[]) OR proname::text = ANY ($3::text[]) AND pronargs = 1
                    AND (SELECT typtype FROM pg_type WHERE pg_type.oid = proargtypes[0]) = 'c')
            UNION ALL
            SELECT oprname::text FROM pg_operator JOIN pg_proc ON pg_proc.oid = oprcode
            WHERE provolatile = 'v' AND position(oprname::text IN $4::text) > 0
            LIMIT 1
            """, [.texts(harmless), .texts(calls.functions), .texts(calls.fields), .text(text)]
        ) { $0.text(0) }
        if let name {
            throw StatementError.rejected(
                "\(name) is volatile, so that it may write by itself; a statement that writes may not call it")
        }
    }

    /// The text with PostgreSQL's placeholders. One that returns rows is the only writing part of a query: it runs to its end
    /// however many of its rows are taken.
    private static func text(_ statement: WritingStatement, returnsRows: Bool) -> String {
        let text = PostgreSQLStatements.text(statement.text)
        guard returnsRows else { return text }
        return
            "WITH statement AS (\n\(text)\n) SELECT * FROM statement LIMIT $\(statement.parameters.count + 1)::bigint"
    }

    func write(_ write: StatementWrite) async throws -> WriteOutcome {
        let isInDoubt = Mutex(false)
        let start = ContinuousClock.now
        var attempt = 1
        while true {
            do {
                return try await run(write) { now in isInDoubt.withLock { $0 = now } }
            } catch let failure as PostgreSQLError {
                // The server has told what became of it, or the transaction was not at its end: it is rolled back.
                if !failure.isDisconnected { isInDoubt.withLock { $0 = false } }
                let isWorthAnother = failure.isDisconnected || failure.endsTransactionForAnother
                guard isWorthAnother, attempt < Self.attempts, start.duration(to: .now) < write.timeout else {
                    if isInDoubt.withLock({ $0 }) { throw StatementWriteError.unknown }
                    throw Self.refusal(running: failure)
                }
                // A server that restarts needs a moment.
                if failure.isDisconnected { try? await Task.sleep(for: .milliseconds(250) * attempt) }
                attempt += 1
            } catch let error as StoreError where isInDoubt.withLock({ $0 }) {
                throw error.kind == .busy || error.kind == .unavailable ? StatementWriteError.unknown : error
            } catch is CancellationError where isInDoubt.withLock({ $0 }) {
                throw StatementWriteError.unknown
            }
        }
    }

    /// - Parameter doubt: Called with true when the transaction is to be committed, and with false when it is certain that no
    ///   earlier attempt was.
    private func run(_ write: StatementWrite, doubt: @escaping @Sendable (Bool) -> Void) async throws -> WriteOutcome {
        let sql = Self.text(write.statement, returnsRows: write.returnsRows)
        var values = write.arguments.map(PostgreSQLValue.init)
        if write.returnsRows { values.append(.integer(Int64(clamping: write.maxRows + 1))) }
        return try await pool.run { [self, values] connection in
            try prepareJournal(connection)
            return try connection.transaction(.readCommitted, statementTimeout: write.timeout) {
                try connection.set(write.session)
                let outcome = try WriteJournal.once(write.key, PostgreSQLTransaction(connection: connection)) {
                    doubt(false)
                    var rows: [[StoreValue]] = []
                    let changed = try connection.execute(sql, values) { row in
                        rows.append((0..<row.count).map { PostgreSQLStatements.value(row, $0) })
                    }
                    return try write.checked(changed: changed, rows: rows)
                }
                if !outcome.isReplay { doubt(true) }
                return outcome
            }
        }
    }

    func recorded(_ key: WriteKey) async throws -> String? {
        try await journal { try WriteJournal.recorded(key, $0) }
    }

    func remove(before date: Date, limit: Int) async throws -> Int {
        try await journal { try WriteJournal.remove(before: date, limit: limit, $0) }
    }

    private func journal<T: Sendable>(
        _ body: @escaping @Sendable (PostgreSQLTransaction) throws -> T
    ) async throws -> T {
        try await PostgreSQLStore.translating {
            try await pool.run { [self] connection in
                try prepareJournal(connection)
                return try connection.transaction(.readCommitted) {
                    try body(PostgreSQLTransaction(connection: connection))
                }
            }
        }
    }

    /// Makes the table of results where it is missing.
    /// - Throws: ``StatementError`` with what to run where this role may not make it.
    private func prepareJournal(_ connection: PostgreSQLConnection) throws {
        guard makesJournal else { return }
        let exists = try connection.first("SELECT to_regclass($1) IS NOT NULL", [.text(WriteJournal.table)]) {
            $0.bool(0)
        }
        guard exists != true else { return }
        do {
            try connection.transaction {
                try connection.execute("SELECT pg_advisory_xact_lock($1::bigint)", [.integer(PostgreSQLSchema.lock)])
                try connection.script(PostgreSQLSchema.journal)
            }
        } catch let failure as PostgreSQLError where failure.code == "42501" || failure.code == "3F000" {
            let statements = PostgreSQLSchema.journal.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            throw StatementError.rejected(
                "the role may not make the table of results; let its owner run: \(statements) "
                    + "GRANT SELECT, INSERT, UPDATE, DELETE ON \(WriteJournal.table) TO …")
        }
    }

    // MARK: Errors

    private static func refusal(describing failure: PostgreSQLError) -> any Error {
        PostgreSQLStatements.isOfTheStatement(failure) || failure.code == "42501"
            ? StatementError.rejected(failure.primary) : failure.storeError
    }

    /// Returns the error for callers; a broken rule is told without its values.
    private static func refusal(running failure: PostgreSQLError) -> any Error {
        switch failure.code {
        case "23505", "23P01": StatementError.violation("there is such a row already")
        case "23503": StatementError.violation("a row that it refers to is missing, or other rows refer to it")
        case "23502": StatementError.violation("a value is missing")
        case "42501": StatementError.violation("the caller may not do this")
        case let code where code.hasPrefix("22"): StatementError.violation(PostgreSQLStatements.explanation(code))
        case let code where ["23", "44", "P0"].contains(String(code.prefix(2))):
            StatementError.violation("a rule of the database forbids it")
        case _ where PostgreSQLStatements.isOfTheStatement(failure):
            StatementError.rejected(PostgreSQLStatements.explanation(failure.code))
        default: failure.storeError
        }
    }
}

extension PostgreSQLStore {
    private var writes: PostgreSQLWrites { PostgreSQLWrites(pool: pool) }

    package func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn] {
        try writes.describe(statement, session: session)
    }

    package func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn] {
        try await prepare()
        return try await writes.columns(of: statement, session: session)
    }

    package func write(_ write: StatementWrite) async throws -> WriteOutcome {
        try await prepare()
        return try await writes.write(write)
    }

    package func recorded(_ key: WriteKey) async throws -> String? {
        try await prepare()
        return try await writes.recorded(key)
    }

    package func removeRecordedWrites(before date: Date, limit: Int) async throws -> Int {
        try await prepare()
        return try await writes.remove(before: date, limit: limit)
    }
}

extension ExternalPostgreSQL {
    private func writes() throws -> PostgreSQLWrites {
        guard allowsWrites else { throw StoreError(.unsupported, "database: statements may not write to it") }
        return PostgreSQLWrites(pool: writer, makesJournal: true)
    }

    package func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn] {
        try writes().describe(statement, session: session)
    }

    package func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn] {
        _ = try await models()
        return try await writes().columns(of: statement, session: session)
    }

    package func write(_ write: StatementWrite) async throws -> WriteOutcome {
        _ = try await models()
        return try await writes().write(write)
    }

    package func recorded(_ key: WriteKey) async throws -> String? {
        _ = try await models()
        return try await writes().recorded(key)
    }

    package func removeRecordedWrites(before date: Date, limit: Int) async throws -> Int {
        _ = try await models()
        return try await writes().remove(before: date, limit: limit)
    }
}
