package import Foundation
import GRDB
package import Store

/// Execution of configured statements that write, on SQLite's connection for writing.
struct SQLiteWrites: Sendable {
    let writer: any DatabaseWriter
    /// True for a database that is not the server's own: the table of results is made when it is first needed.
    var makesJournal = false

    func describe(_ statement: WritingStatement, in reader: any DatabaseReader) throws -> [StatementColumn] {
        do {
            return try reader.read { SQLiteStatements.columns(of: try Self.prepare(statement, in: $0)) }
        } catch {
            throw SQLiteStatements.refusal(error)
        }
    }

    func columns(of statement: WritingStatement, in reader: any DatabaseReader) async throws -> [StatementColumn] {
        do {
            return try await reader.read { SQLiteStatements.columns(of: try Self.prepare(statement, in: $0)) }
        } catch {
            throw SQLiteStatements.refusal(error)
        }
    }

    func write(_ write: StatementWrite) async throws -> WriteOutcome {
        do {
            return try await withThrowingTaskGroup(of: WriteOutcome?.self) { group in
                group.addTask { [self] in
                    try await writer.write { db in
                        try prepareJournal(db)
                        return try Self.perform(write, db)
                    }
                }
                group.addTask {
                    try await Task.sleep(for: write.timeout)
                    return nil
                }
                defer { group.cancelAll() }
                if let outcome = try await group.next() ?? nil { return outcome }
                // Interrupted: either that rolls the write back, or it was committed before, and then it counts.
                group.cancelAll()
                do {
                    if let outcome = try await group.next() ?? nil { return outcome }
                } catch let error where SQLiteStore.translate(error) is CancellationError {
                    // Rolled back.
                }
                throw StoreError(.timeout, "database: the statement took longer than \(write.timeout)")
            }
        } catch {
            throw Self.refusal(error)
        }
    }

    func recorded(_ key: WriteKey) async throws -> String? {
        try await journal { try WriteJournal.recorded(key, $0) }
    }

    func remove(before date: Date, limit: Int) async throws -> Int {
        try await journal { try WriteJournal.remove(before: date, limit: limit, $0) }
    }

    private func journal<T: Sendable>(_ body: @escaping @Sendable (SQLiteConnection) throws -> T) async throws -> T {
        do {
            return try await writer.write { db in
                try prepareJournal(db)
                return try body(SQLiteConnection(db: db))
            }
        } catch {
            throw SQLiteStore.translate(error)
        }
    }

    private func prepareJournal(_ db: Database) throws {
        // The file may have been replaced since the last write.
        guard makesJournal, try !db.tableExists(WriteJournal.table) else { return }
        try db.execute(sql: WriteJournal.statements(integer: "INTEGER", blob: "BLOB"))
    }

    private static func perform(_ write: StatementWrite, _ db: Database) throws -> WriteOutcome {
        try WriteJournal.once(write.key, SQLiteConnection(db: db)) {
            let prepared = try prepare(write.statement, in: db)
            let found = try SQLiteStatements.rows(of: prepared, write.arguments, limit: write.maxRows)
            guard !found.truncated else { throw StatementWriteError.tooManyRows }
            return try write.checked(
                changed: write.returnsRows ? found.rows.count : db.changesCount, rows: found.rows)
        }
    }

    private static func prepare(_ statement: WritingStatement, in db: Database) throws -> Statement {
        let prepared = try db.cachedStatement(sql: SQLiteStatements.text(statement.text))
        guard !prepared.isReadonly else { throw StatementError.rejected("the statement does not write") }
        return prepared
    }

    /// Returns the error for callers; a broken constraint is told without its values.
    private static func refusal(_ error: any Error) -> any Error {
        guard let failure = error as? DatabaseError, failure.resultCode == .SQLITE_CONSTRAINT else {
            return SQLiteStatements.refusal(error)
        }
        let rule =
            switch failure.extendedResultCode {
            case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
                "there is such a row already"
            case .SQLITE_CONSTRAINT_FOREIGNKEY: "a row that it refers to is missing, or other rows refer to it"
            case .SQLITE_CONSTRAINT_NOTNULL: "a value is missing"
            default: "a rule of the database forbids it"
            }
        return StatementError.violation(rule)
    }
}

extension SQLiteStore {
    private var writes: SQLiteWrites { SQLiteWrites(writer: database) }

    package func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try writes.describe(statement, in: database)
    }

    package func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try await writes.columns(of: statement, in: database)
    }

    package func write(_ write: StatementWrite) async throws -> WriteOutcome {
        try SQLiteStatements.checkSession(write.session.map(\.name))
        return try await writes.write(write)
    }

    package func recorded(_ key: WriteKey) async throws -> String? { try await writes.recorded(key) }

    package func removeRecordedWrites(before date: Date, limit: Int) async throws -> Int {
        try await writes.remove(before: date, limit: limit)
    }
}

extension ExternalSQLite {
    private func writes() throws -> SQLiteWrites {
        guard allowsWrites, let writer = try connections.writer() else {
            throw StoreError(.unsupported, "database: statements may not write to it")
        }
        return SQLiteWrites(writer: writer, makesJournal: true)
    }

    package func describe(_ statement: WritingStatement, session: [String]) throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try writes().describe(statement, in: connections.reader())
    }

    package func columns(of statement: WritingStatement, session: [String]) async throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try await writes().columns(of: statement, in: connections.reader())
    }

    package func write(_ write: StatementWrite) async throws -> WriteOutcome {
        try SQLiteStatements.checkSession(write.session.map(\.name))
        return try await writes().write(write)
    }

    package func recorded(_ key: WriteKey) async throws -> String? { try await writes().recorded(key) }

    package func removeRecordedWrites(before date: Date, limit: Int) async throws -> Int {
        try await writes().remove(before: date, limit: limit)
    }
}
