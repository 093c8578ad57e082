import Store
import Synchronization

/// Cache of the server's own trigram indexes and their statistics. It expires, because an administrator may create or
/// drop an index, and because the rows change.
final class PostgreSQLIndexes: Sendable {
    private static let validity: Duration = .seconds(15)
    private static let sampleValidity: Duration = .seconds(3600)

    private struct Known {
        var trigrams: PostgreSQLTrigrams?
        var until: ContinuousClock.Instant
        var sampledUntil: ContinuousClock.Instant
    }

    private let known = Mutex<[String: Known]>([:])

    /// Returns the frequencies of trigrams if the index exists and is complete; nil otherwise.
    /// - Parameters:
    ///   - table: Name of the table, quoted.
    ///   - columns: Folded text, as expressions over `row`.
    func trigrams(
        of name: String, table: String, columns: [String], _ pool: PostgreSQLPool
    ) async throws -> PostgreSQLTrigrams? {
        let before = known.withLock { $0[name] }
        if let before, before.until > .now { return before.trigrams }
        let sampled = before.flatMap { $0.sampledUntil > .now ? $0.trigrams : nil }
        let trigrams = try await pool.run { connection -> PostgreSQLTrigrams? in
            guard try Self.state(of: name, connection) == .valid else { return nil }
            return try sampled ?? Self.sample(table, columns, connection)
        }
        known.withLock { known in
            known[name] = Known(
                trigrams: trigrams, until: .now + Self.validity,
                sampledUntil: sampled == nil ? .now + Self.sampleValidity : known[name]?.sampledUntil ?? .now)
        }
        return trigrams
    }

    /// Clears the cache: the next search reads the indexes again.
    func forget() { known.withLock { $0 = [:] } }

    private static func sample(
        _ table: String, _ columns: [String], _ connection: PostgreSQLConnection
    ) throws -> PostgreSQLTrigrams {
        let total =
            try connection.first(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = $1::text::regclass", [.text(table)]
            ) { Double(max($0.integer(0), 0)) } ?? 0
        let share = min(100, 100 * Double(PostgreSQLTrigrams.sample) * 1.5 / max(total, 1))
        var trigrams = PostgreSQLTrigrams(total: total)
        try connection.executeOnce(
            """
            SELECT concat_ws(' ', \(columns.joined(separator: ", "))) FROM \(table) AS row
            TABLESAMPLE SYSTEM (\(share)) LIMIT \(PostgreSQLTrigrams.sample)
            """
        ) { trigrams.add(String($0.text(0).prefix(2000))) }
        return trigrams
    }

    enum State: Hashable { case missing, invalid, valid }

    static func state(of name: String, _ connection: PostgreSQLConnection) throws -> State {
        let isValid = try connection.first(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident($1))", [.text(name)]
        ) { $0.bool(0) }
        return isValid.map { $0 ? .valid : .invalid } ?? .missing
    }

    /// Creates an index while the table stays in use; an existing or incomplete one is replaced.
    /// - Parameter progress: Called about twice a second, on any thread.
    static func build(
        _ name: String, on definition: String, table: String, builder: PostgreSQLPool, watcher: PostgreSQLPool,
        progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        let watching = Task {
            while !Task.isCancelled {
                if let step = try? await watcher.run({ try Self.progress($0) }) { progress(step) }
                try await Task.sleep(for: .milliseconds(500))
            }
        }
        defer { watching.cancel() }
        let rows = try await builder.run { connection in
            try connection.withStatementTimeout(nil) {
                let isThere = try connection.transaction { try PostgreSQLSchema.offerTrigrams(connection) }
                guard isThere else {
                    throw StoreError(
                        .unsupported,
                        "database: the extension pg_trgm is not there, and this role may not make it; "
                            + "an administrator can: CREATE EXTENSION pg_trgm")
                }
                let quoted = "\(SQLIdentifier(name))"
                try connection.script("SET maintenance_work_mem = '256MB'")
                defer { try? connection.script("RESET maintenance_work_mem") }
                if try state(of: name, connection) != .missing {
                    try connection.script("DROP INDEX CONCURRENTLY \(quoted)")
                }
                try connection.script("CREATE INDEX CONCURRENTLY \(quoted) ON \(table) USING gin (\(definition))")
                try connection.script("ANALYZE \(table)")
                return try connection.first(
                    "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::regclass", [.text(table)]
                ) { $0.count(0) } ?? 0
            }
        }
        return IndexReport(rows: rows, changed: rows)
    }

    private static func progress(_ connection: PostgreSQLConnection) throws -> IndexProgress? {
        try connection.first(
            """
            SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total FROM pg_stat_progress_create_index
            WHERE datname = current_database()
            """
        ) { row in
            // Rows in a phase that counts rows, otherwise blocks of the table.
            let byRows = row.integer(2) > 0
            return IndexProgress(
                rows: row.count(byRows ? 1 : 3), total: row.count(byRows ? 2 : 4), step: row.text(0))
        }
    }
}
