import Foundation
import MCPServer
import Store
import Synchronization

/// Store in PostgreSQL, which several tool-servers can share.
///
/// Its tables are in the first schema of the connection's `search_path`, so that `?options=-csearch_path%3Dtools` moves
/// them out of `public`.
package final class PostgreSQLStore: InternalStore {
    let location: PostgreSQLLocation
    let settings: PostgreSQLSettings
    let pool: PostgreSQLPool
    /// Pool for searches without an index: few at a time, so that other calls find a connection.
    let scans: PostgreSQLPool
    let models: [SearchModel]
    let indexes = PostgreSQLIndexes()
    /// Ends of MCP sessions that this server has seen.
    let recentEnds = ProcessSessionEnds()
    private let isReady = Mutex(false)

    package var searchModels: [String] { models.map(\.key) }

    /// Opens the database and migrates its schema.
    /// - Parameter waiting: True to start although the database cannot be reached: then every use tries again, and
    ///   fails with ``StoreError`` of kind `unavailable` until it can.
    /// - Throws: ``StoreError`` naming the database and the reason.
    package init(
        at location: PostgreSQLLocation, settings: PostgreSQLSettings = PostgreSQLSettings(), waiting: Bool = false
    ) async throws {
        self.location = location.with(password: settings.password)
        self.settings = settings
        pool = PostgreSQLPool(self.location, settings: settings)
        scans = PostgreSQLPool(self.location, settings: settings.forScans, readOnly: true)
        models = SearchModel.builtIn
        do {
            try await prepare()
        } catch let error as StoreError where waiting && error.kind == .unavailable {
            // The next use prepares the schema.
        } catch {
            await pool.close()
            throw Self.opening(error, location)
        }
    }

    package func checkHealth() async throws {
        _ = try await read { connection in try connection.execute("SELECT 1 FROM account LIMIT 1") }
    }

    package func close() async throws {
        await scans.close()
        await pool.close()
    }

    /// Runs statements that only read.
    func read<T: Sendable>(_ body: @escaping @Sendable (PostgreSQLConnection) throws -> T) async throws -> T {
        try await prepare()
        return try await Self.translating { try await pool.run(body) }
    }

    /// Runs statements in one transaction, which is repeated when the database undoes it for the sake of another.
    @discardableResult
    func write<T: Sendable>(_ body: @escaping @Sendable (PostgreSQLConnection) throws -> T) async throws -> T {
        try await prepare()
        return try await Self.translating {
            try await pool.run { connection in try connection.repeatedTransaction { try body(connection) } }
        }
    }

    /// Migrates the schema, once. Several callers may do it at the same time; the database lets them in one by one.
    func prepare() async throws {
        guard !isReady.withLock({ $0 }) else { return }
        try await Self.translating {
            try await pool.run { connection in try PostgreSQLSchema.migrate(connection) }
        }
        isReady.withLock { $0 = true }
    }

    /// - Parameter isLater: True if the statement's values include the position of an earlier page.
    static func translating<T>(isLater: Bool = false, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let failure as PostgreSQLError {
            if isLater, failure.isAboutAValue { throw SearchError.invalidPosition }
            throw failure.storeError
        }
    }

    static func opening(_ error: any Error, _ location: PostgreSQLLocation) -> any Error {
        guard let error = error as? StoreError else { return error }
        let reason =
            error.description.hasPrefix("database: ") ? error.description.dropFirst(10) : error.description[...]
        return StoreError(error.kind, "cannot open database \(location): \(reason)")
    }
}

extension String {
    /// Text without NUL, which PostgreSQL cannot store.
    var storable: String { utf8.contains(0) ? replacing("\0", with: "\u{FFFD}") : self }
}
