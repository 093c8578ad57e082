import CPostgres
import Foundation
import Store

/// One connection, used by one thread. Statements block that thread, but never beyond their deadline, and a signal on
/// ``wake`` cancels them.
final class PostgreSQLConnection {
    /// Largest number of statements kept prepared on a connection.
    static let preparedLimit = 64
    /// Time that the server may need to end a statement after it was cancelled.
    private static let grace: Duration = .seconds(5)

    private let handle: OpaquePointer
    private let wake: WakeSignal
    /// Names of prepared statements by text, in the order of their last use.
    private var prepared: [String: String] = [:]
    private var recent: [String] = []
    private var statementNumber = 0
    private(set) var lastUsed = ContinuousClock.now
    /// Time limit of the server for a statement; nil: none.
    private(set) var statementTimeout: Duration?

    /// Connects.
    /// - Parameter readOnly: True if the server must refuse all writes of this connection.
    /// - Throws: ``PostgreSQLError``; `CancellationError` when ``wake`` is signalled.
    init(
        _ location: PostgreSQLLocation, settings: PostgreSQLSettings, readOnly: Bool, wake: WakeSignal
    ) throws {
        self.wake = wake
        handle = try PostgreSQLSession.open(location, settings: settings, wake: wake)
        // All properties are set, so that the deinitialiser closes the handle when this throws.
        statementTimeout = settings.connectTimeout
        try script(PostgreSQLSession.script(readOnly: readOnly, timeout: settings.statementTimeout))
        statementTimeout = settings.statementTimeout
        guard parameter("server_encoding") == "UTF8" else {
            throw StoreError(
                .unsupported, "database: its encoding is \(parameter("server_encoding") ?? "unknown"); UTF8 is needed")
        }
    }

    deinit { PQfinish(handle) }

    // MARK: State

    /// True unless the server is known to have closed the connection; the server is not asked.
    var isOpen: Bool {
        // The socket is readable after a parameter change or a notice, or at the end of the stream, which under TLS
        // comes after the server's last message.
        for _ in 0..<16 {
            guard PQstatus(handle) == CONNECTION_OK else { return false }
            var socket = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
            guard poll(&socket, 1, 0) > 0 else { return true }
            guard PQconsumeInput(handle) == 1, socket.revents & Int16(POLLHUP | POLLERR) == 0, !isEnded else {
                return false
            }
        }
        return false
    }

    /// True if a read would return the end of the stream.
    private var isEnded: Bool {
        var byte: UInt8 = 0
        return recv(PQsocket(handle), &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) == 0
    }

    /// True if the connection is outside of any transaction, ready for the next user.
    var isIdle: Bool { PQstatus(handle) == CONNECTION_OK && PQtransactionStatus(handle) == PQTRANS_IDLE }

    private func parameter(_ name: String) -> String? { PQparameterStatus(handle, name).map { String(cString: $0) } }

    // MARK: Statements

    /// Runs a statement that is kept prepared, and gives each row to `row`.
    /// - Returns: The number of rows that the statement changed or returned.
    /// - Throws: ``PostgreSQLError``, what `row` throws, or `CancellationError`.
    @discardableResult
    func execute(
        _ sql: String, _ values: [PostgreSQLValue] = [], row: (PostgreSQLRow) throws -> Void = { _ in }
    ) throws -> Int {
        let name = try statement(sql)
        do {
            return try send(values, row) { count, pointers, lengths, formats in
                PQsendQueryPrepared(handle, name, count, pointers, lengths, formats, PostgreSQLCodes.textFormat)
            }
        } catch let failure as PostgreSQLError {
            // Removed by a DISCARD, or prepared for a table whose columns have changed: the next use prepares it again.
            if failure.code == "26000" || failure.code == "0A000" { forget(sql) }
            throw failure
        }
    }

    /// Runs a statement that is planned for these values; otherwise the same.
    @discardableResult
    func executeOnce(
        _ sql: String, _ values: [PostgreSQLValue] = [], row: (PostgreSQLRow) throws -> Void = { _ in }
    ) throws -> Int {
        try send(values, row) { count, pointers, lengths, formats in
            PQsendQueryParams(
                handle, sql, count, nil, pointers, lengths, formats, PostgreSQLCodes.textFormat)
        }
    }

    /// Returns the rows of a prepared statement.
    func rows<T>(
        _ sql: String, _ values: [PostgreSQLValue] = [], _ read: (PostgreSQLRow) throws -> T
    ) throws -> [T] {
        var rows: [T] = []
        try execute(sql, values) { rows.append(try read($0)) }
        return rows
    }

    /// Returns the first row of a prepared statement.
    func first<T>(
        _ sql: String, _ values: [PostgreSQLValue] = [], _ read: (PostgreSQLRow) throws -> T
    ) throws -> T? {
        try rows(sql, values, read).first
    }

    /// Returns the result columns of a statement without running it: name and type, the latter as the server's number.
    func describe(_ sql: String) throws -> [(name: String, type: UInt32)] {
        let name = try statement(sql)
        try started(PQsendDescribePrepared(handle, name))
        var columns: [(name: String, type: UInt32)] = []
        try finish { _ in
        } shape: { result in
            columns = (0..<PQnfields(result)).map { index in
                (PQfname(result, index).map { String(cString: $0) } ?? "", PQftype(result, index))
            }
        }
        return columns
    }

    /// Runs statements without parameters, separated by semicolons.
    func script(_ sql: String) throws {
        try started(PQsendQuery(handle, sql))
        try finish()
    }

    /// Beginning of a transaction.
    enum TransactionIsolation: String {
        /// Whatever database and role are set to.
        case standard = "BEGIN"
        case readOnly = "BEGIN READ ONLY"
        /// Each statement sees what is committed when it starts.
        case readCommitted = "BEGIN ISOLATION LEVEL READ COMMITTED"
    }

    /// Runs `body` in a transaction; commits it, or rolls it back when `body` throws.
    /// - Parameters:
    ///   - isolation: Isolation level and access mode of the transaction.
    ///   - limit: Time limit of the server for each statement of `body`; nil: the connection's own.
    func transaction<T>(
        _ isolation: TransactionIsolation = .standard, statementTimeout limit: Duration? = nil, _ body: () throws -> T
    ) throws -> T {
        let before = statementTimeout
        defer { statementTimeout = before }
        // One round trip for both; the limit ends with the transaction.
        let local = limit.map { "; SET LOCAL statement_timeout = \($0.inMilliseconds)" } ?? ""
        try script(isolation.rawValue + local)
        if let limit { statementTimeout = limit }
        do {
            let value = try body()
            try script("COMMIT")
            return value
        } catch {
            if PQstatus(handle) == CONNECTION_OK, PQtransactionStatus(handle) != PQTRANS_IDLE {
                try? rollBack()
            }
            throw error
        }
    }

    /// Runs `body` in a transaction, and again, three times at most, when the database ended it for the sake of another:
    /// nothing of it stays then.
    /// - Parameter body: Changes nothing but the database.
    func repeatedTransaction<T>(_ body: () throws -> T) throws -> T {
        for _ in 0..<2 {
            do {
                return try transaction { try body() }
            } catch let error as PostgreSQLError where error.endsTransactionForAnother {}
        }
        return try transaction { try body() }
    }

    /// Runs `body` at a savepoint: when it throws, only its changes are undone, and the transaction around it
    /// continues.
    func savepoint<T>(_ body: () throws -> T) throws -> T {
        try script("SAVEPOINT inner_step")
        do {
            let value = try body()
            try script("RELEASE SAVEPOINT inner_step")
            return value
        } catch {
            try script("ROLLBACK TO SAVEPOINT inner_step")
            throw error
        }
    }

    /// Runs `body` with another time limit of the server for a statement; nil: none.
    func withStatementTimeout<T>(_ timeout: Duration?, _ body: () throws -> T) throws -> T {
        let before = statementTimeout
        try script("SET statement_timeout = \(timeout?.inMilliseconds ?? 0)")
        statementTimeout = timeout
        defer {
            statementTimeout = before
            // The signal was meant for the statement that has ended.
            wake.clear()
            if PQstatus(handle) == CONNECTION_OK {
                try? script("SET statement_timeout = \(before?.inMilliseconds ?? 0)")
            }
        }
        return try body()
    }

    /// Rolls back even in a cancelled job: the signal must not cancel the rollback as well.
    private func rollBack() throws {
        wake.clear()
        try script("ROLLBACK")
    }

    // MARK: Prepared statements

    private func statement(_ sql: String) throws -> String {
        if let name = prepared[sql] {
            if recent.last != sql, let index = recent.firstIndex(of: sql) {
                recent.remove(at: index)
                recent.append(sql)
            }
            return name
        }
        if recent.count >= Self.preparedLimit, let oldest = recent.first, let name = prepared[oldest] {
            // Not in a failed transaction, where this statement would fail too.
            try script("DEALLOCATE \(name)")
            forget(oldest)
        }
        statementNumber += 1
        let name = "s\(statementNumber)"
        try started(PQsendPrepare(handle, name, sql, 0, nil))
        try finish()
        prepared[sql] = name
        recent.append(sql)
        return name
    }

    private func forget(_ sql: String) {
        prepared[sql] = nil
        recent.removeAll { $0 == sql }
    }

    // MARK: Sending and waiting

    private typealias Send = (
        Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
    ) -> Int32

    private func send(
        _ values: [PostgreSQLValue], _ row: (PostgreSQLRow) throws -> Void, _ send: Send
    ) throws -> Int {
        // One buffer for all values; it does not move while libpq reads it.
        let encoded = values.map(\.encoded)
        var bytes: [UInt8] = []
        var offsets: [Int?] = []
        for value in encoded {
            offsets.append(value == nil ? nil : bytes.count)
            if let value { bytes += value }
        }
        // An empty bytea still needs an address.
        bytes.append(0)
        // libpq counts in 32 bits, and the server accepts no larger value.
        guard bytes.count <= Int32.max, values.count <= 65_535 else {
            throw StoreError(.unsupported, "database: the values of a statement are larger than PostgreSQL takes")
        }
        let lengths = encoded.map { Int32(clamping: $0?.count ?? 0) }
        let formats = values.map(\.format)
        let sent = bytes.withUnsafeBytes { buffer in
            let base = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = offsets.map { offset in offset.flatMap { base?.advanced(by: $0) } }
            return send(Int32(values.count), pointers, lengths, formats)
        }
        try started(sent)
        return try finish(row)
    }

    private func started(_ sent: Int32) throws {
        guard sent == 1 else { throw PostgreSQLError(disconnected: lastMessage) }
    }

    /// Waits for all results of the statement that was sent. The first error counts, also one of `row`.
    @discardableResult
    private func finish(
        _ row: (PostgreSQLRow) throws -> Void = { _ in }, shape: (OpaquePointer) -> Void = { _ in }
    ) throws -> Int {
        lastUsed = .now
        var failure: (any Error)?
        var count = 0
        let deadline = statementTimeout.map { ContinuousClock.now + $0 + Self.grace }
        var cancelled: ContinuousClock.Instant?
        var cancellation: StatementCancellation?
        while true {
            while PQisBusy(handle) == 1 {
                switch wait(for: POLLIN, until: cancelled ?? deadline, watching: cancelled == nil) {
                case .ready:
                    guard PQconsumeInput(handle) == 1 else { throw PostgreSQLError(disconnected: lastMessage) }
                case .woken:
                    cancellation = StatementCancellation(handle)
                    cancelled = ContinuousClock.now + Self.grace
                case .timedOut:
                    guard cancelled == nil else {
                        abandon()
                        throw PostgreSQLError(disconnected: "the server does not answer")
                    }
                    cancellation = StatementCancellation(handle)
                    cancelled = ContinuousClock.now + Self.grace
                }
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK:
                let rows = PQntuples(result)
                count = Int(rows)
                guard failure == nil else { continue }
                do {
                    for index in 0..<rows { try row(PostgreSQLRow(result: result, row: index)) }
                } catch {
                    failure = error
                }
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                shape(result)
                count = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // libpq would give the same result for ever: no statement here copies.
                abandon()
                throw PostgreSQLError(disconnected: "the server began to copy data")
            default:
                failure = failure ?? PostgreSQLError(result: result, connection: handle)
                if PQstatus(handle) != CONNECTION_OK { throw failure ?? CancellationError() }
            }
        }
        if let cancellation, !cancellation.isAnswered() {
            abandon()
            throw PostgreSQLError(disconnected: "the server does not answer")
        }
        lastUsed = .now
        if let failure { throw failure }
        return count
    }

    /// Closes the connection to further use when the server may still be working on it.
    private func abandon() {
        shutdown(PQsocket(handle), Int32(SHUT_RDWR))
        _ = PQconsumeInput(handle)
    }

    private func wait(for events: Int32, until deadline: ContinuousClock.Instant?, watching: Bool) -> SocketWait {
        SocketWait(socket: PQsocket(handle), for: events, until: deadline, wake: watching ? wake : nil)
    }

    private var lastMessage: String { PostgreSQLSession.message(of: handle) }
}
