import Foundation
import GRDB
package import Store

/// The store on SQLite: WAL, one writer and several readers on GRDB's own dispatch queues, so that no call blocks an
/// event loop or a thread of the cooperative pool.
package final class SQLiteStore: Store {
    /// Time limit of waiting for another process's lock, in seconds.
    package static let busyTimeout: Double = 5

    let location: SQLiteLocation
    let database: any DatabaseWriter
    let models: [SearchModel]
    let scans = SearchScans()
    /// Identity of the opened file; nil for a database in memory.
    private let file: FileIdentity?

    package var searchModels: [String] { models.map(\.key) }

    /// Opens the database, creating the file if it does not exist, and migrates its schema.
    /// - Throws: ``StoreError`` naming the database and the reason.
    package init(at location: SQLiteLocation) throws(StoreError) {
        self.location = location
        self.models = SearchModel.builtIn
        do {
            var configuration = GRDB.Configuration()
            configuration.label = "store"
            configuration.busyMode = .timeout(Self.busyTimeout)
            configuration.prepareDatabase { db in
                try FoldedNeedle.register(in: db)
            }
            switch location {
            case .memory:
                database = try DatabaseQueue(configuration: configuration)
                file = nil
            case .file(let path):
                // Readable by the owner only, from the start: the file holds password hashes and messages.
                try Self.createPrivately(path: path)
                database = try DatabasePool(path: path, configuration: configuration)
                file = FileIdentity(path)
            }
            try Self.migrate(database, at: location)
        } catch let error as StoreError {
            throw error
        } catch {
            throw Self.openingError(error, at: location)
        }
    }

    package func checkHealth() async throws {
        // Open connections keep using a file that was moved away; what is written there is lost.
        if case .file(let path) = location, FileIdentity(path) != file {
            throw StoreError(.cannotOpen, "database \(path): the file was moved away or replaced")
        }
        _ = try await read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM (SELECT 1 FROM account LIMIT 1)") }
    }

    /// Closes the database. The write-ahead log is written back first, so that the file alone is the complete database
    /// and can be copied.
    package func close() async throws {
        if let pool = database as? DatabasePool {
            // Frames that a reader of another process still needs stay in the log: the checkpoint does not wait, and
            // nothing is lost.
            _ = try? await pool.writeWithoutTransaction { db in try db.checkpoint(.passive) }
        }
        try database.close()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do { return try await database.read(body) } catch { throw Self.translate(error) }
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do { return try await database.write(body) } catch { throw Self.translate(error) }
    }

    private static func createPrivately(path: String) throws {
        let descriptor = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            Foundation.close(descriptor)
        } else if errno != EEXIST {
            throw StoreError(.cannotOpen, "cannot open database \(path): \(String(cString: strerror(errno)))")
        }
    }

    static func openingError(_ error: any Error, at location: SQLiteLocation) -> StoreError {
        guard let error = error as? DatabaseError else {
            return StoreError(.cannotOpen, "cannot open database \(location): \(error)")
        }
        let reason = error.message ?? error.resultCode.description
        return StoreError(kind(of: error), "cannot open database \(location): \(reason)")
    }

    /// Returns a ``StoreError`` for SQLite's errors; cancellation and the server's own errors are returned unchanged.
    static func translate(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        if error.resultCode == .SQLITE_INTERRUPT || error.resultCode == .SQLITE_ABORT { return CancellationError() }
        // SQLite's message describes the error; the statement, which may contain user data, is left out.
        return StoreError(kind(of: error), "database: \(error.message ?? error.resultCode.description)")
    }

    private static func kind(of error: DatabaseError) -> StoreError.Kind {
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
        case .SQLITE_FULL: .full
        case .SQLITE_READONLY: .readOnly
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH: .cannotOpen
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt
        case .SQLITE_CONSTRAINT where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE: .duplicate
        default: .other
        }
    }
}

/// Text that passes through SQLite unchanged, NUL included: bound as a blob and cast in the statement (`CAST(? AS
/// TEXT)`), read through `CAST(column AS BLOB)`.
enum VerbatimText {
    static func bind(_ text: String) -> Data { Data(text.utf8) }
    static func read(_ data: Data) -> String { String(decoding: data, as: UTF8.self) }
}
