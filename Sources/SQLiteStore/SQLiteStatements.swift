import Foundation
import GRDB
import GRDBSQLite
package import Store

/// Execution of configured statements on a read-only SQLite connection.
struct SQLiteStatements: Sendable {
    let reader: any DatabaseReader

    func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn] {
        do { return try reader.read { try Self.columns(of: statement, in: $0) } } catch { throw Self.refusal(error) }
    }

    func columns(of statement: ReadOnlyStatement) async throws -> [StatementColumn] {
        do {
            return try await reader.read { try Self.columns(of: statement, in: $0) }
        } catch {
            throw Self.refusal(error)
        }
    }

    private static func columns(of statement: ReadOnlyStatement, in db: Database) throws -> [StatementColumn] {
        columns(of: try prepare(statement, in: db))
    }

    /// Returns the columns of a compiled statement.
    static func columns(of prepared: Statement) -> [StatementColumn] {
        (0..<prepared.columnCount).map { index in
            StatementColumn(
                name: prepared.columnNames[index],
                type: sqlite3_column_decltype(prepared.sqliteStatement, CInt(index))
                    .flatMap { type(declared: String(cString: $0)) })
        }
    }

    func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows {
        let reader = reader
        do {
            return try await withThrowingTaskGroup(of: StatementRows?.self) { group in
                group.addTask {
                    try await reader.read { db in
                        try Self.rows(of: Self.prepare(statement, in: db), arguments, limit: limit)
                    }
                }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    return nil
                }
                // Leaving cancels the other task: the query is interrupted, or the timer ends.
                defer { group.cancelAll() }
                guard let rows = try await group.next() ?? nil else {
                    throw StoreError(.timeout, "database: the statement took longer than \(timeout)")
                }
                return rows
            }
        } catch {
            throw Self.refusal(error)
        }
    }

    private static func prepare(_ statement: ReadOnlyStatement, in db: Database) throws -> Statement {
        let prepared = try db.cachedStatement(sql: text(statement.text))
        guard prepared.isReadonly else { throw StatementError.writes }
        return prepared
    }

    /// The text with SQLite's placeholders; a list is the text of a JSON array.
    static func text(_ statement: StatementText) -> String {
        statement.text { number in
            statement.types[number]?.isList == true
                ? "SELECT value FROM json_each(?\(number + 1))" : "?\(number + 1)"
        }
    }

    /// Runs a compiled statement; returns at most `limit` of its rows.
    static func rows(
        of prepared: Statement, _ arguments: [StoreValue], limit: Int
    ) throws -> StatementRows {
        // Bound and read with SQLite's functions, because GRDB cuts text at its first NUL in both directions.
        let handle = prepared.sqliteStatement
        sqlite3_reset(handle)
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        for (index, argument) in arguments.enumerated() { try bind(argument, CInt(index + 1), handle) }
        var collected = CollectedRows(limit: limit)
        while true {
            let code = sqlite3_step(handle)
            if code == SQLITE_DONE { return collected.rows }
            guard code == SQLITE_ROW else { throw failure(handle, code) }
            guard collected.add((0..<sqlite3_column_count(handle)).map { value(handle, $0) }) else {
                return collected.rows
            }
        }
    }

    private static func bind(_ value: StoreValue, _ index: CInt, _ handle: OpaquePointer) throws {
        // SQLITE_TRANSIENT: SQLite copies before the call returns.
        let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code =
            switch value {
            case .null: sqlite3_bind_null(handle, index)
            case .boolean(let flag): sqlite3_bind_int64(handle, index, flag ? 1 : 0)
            case .integer(let number): sqlite3_bind_int64(handle, index, number)
            case .real(let number): sqlite3_bind_double(handle, index, number)
            case .text(var text):
                text.withUTF8 { bytes in
                    bytes.withMemoryRebound(to: CChar.self) {
                        sqlite3_bind_text64(
                            handle, index, $0.baseAddress, UInt64($0.count), copied, UInt8(SQLITE_UTF8))
                    }
                }
            case .blob(let bytes):
                bytes.withUnsafeBytes { sqlite3_bind_blob64(handle, index, $0.baseAddress, UInt64($0.count), copied) }
            }
        guard code == SQLITE_OK else { throw failure(handle, code) }
    }

    private static func value(_ handle: OpaquePointer, _ index: CInt) -> StoreValue {
        func bytes(_ start: UnsafeRawPointer?) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(handle, index)))
        }
        switch sqlite3_column_type(handle, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, index))
        case SQLITE_TEXT:
            return .text(String(decoding: bytes(sqlite3_column_text(handle, index).map { .init($0) }), as: UTF8.self))
        case SQLITE_BLOB: return .blob(Array(bytes(sqlite3_column_blob(handle, index))))
        default: return .null
        }
    }

    private static func failure(_ handle: OpaquePointer, _ code: CInt) -> any Error {
        DatabaseError(
            resultCode: ResultCode(rawValue: code),
            message: sqlite3_db_handle(handle).map { String(cString: sqlite3_errmsg($0)) })
    }

    /// Returns the type for a declared one by SQLite's rules of column affinity, section 3.1 of its "Datatypes",
    /// without the affinities that allow several types.
    private static func type(declared text: String) -> StatementType? {
        let declared = text.uppercased()
        if declared.contains("BOOL") { return .boolean }
        if declared.contains("INT") { return .integer }
        if ["CHAR", "CLOB", "TEXT", "DATE", "TIME", "UUID"].contains(where: declared.contains) { return .string }
        if ["REAL", "FLOA", "DOUB", "DEC", "NUM"].contains(where: declared.contains) { return .number }
        return nil
    }

    /// Refuses session variables, which SQLite does not have.
    static func checkSession(_ names: [String]) throws(StatementError) {
        guard names.isEmpty else { throw .rejected("SQLite has no session variables") }
    }

    /// Returns the refusal for an error that the statement itself causes; any other error is translated.
    static func refusal(_ error: any Error) -> any Error {
        guard let failure = error as? DatabaseError else { return error }
        switch failure.resultCode {
        // These include GRDB's error for several statements, and SQLite's for a division by a text or an unknown name.
        case .SQLITE_ERROR, .SQLITE_MISUSE, .SQLITE_RANGE, .SQLITE_MISMATCH, .SQLITE_TOOBIG:
            return StatementError.rejected(failure.message ?? failure.resultCode.description)
        default: return SQLiteStore.translate(error)
        }
    }
}

extension SQLiteStore {
    package func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try SQLiteStatements(reader: database).describe(statement)
    }

    package func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try await SQLiteStatements(reader: database).columns(of: statement)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows {
        try SQLiteStatements.checkSession(session.map(\.name))
        return try await SQLiteStatements(reader: database)
            .run(statement, arguments: arguments, limit: limit, timeout: timeout)
    }

    package func bypassesRowSecurity() async throws -> Bool { false }
}

extension ExternalSQLite {
    package func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try SQLiteStatements(reader: connections.reader()).describe(statement)
    }

    package func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn] {
        try SQLiteStatements.checkSession(session)
        return try await SQLiteStatements(reader: connections.reader()).columns(of: statement)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows {
        try SQLiteStatements.checkSession(session.map(\.name))
        return try await SQLiteStatements(reader: connections.reader())
            .run(statement, arguments: arguments, limit: limit, timeout: timeout)
    }

    package func bypassesRowSecurity() async throws -> Bool { false }
}
