import Foundation
import GRDB
import Store

/// Trigram indexes over external tables, kept in the server's own database.
///
/// The server has no triggers in the external database, so an index is compared with its table as a whole: `update`
/// reads every row, and indexes those whose digest differs. Rows found by an index are always verified in the table.
struct ExternalIndexes: Sendable {
    /// A table that can have an external index.
    struct Source: Hashable, Sendable {
        let model: String
        let table: String
        /// Column of the rows' numbers, by which the index is ordered too.
        let key: String
        /// True if a row keeps its number permanently.
        let isKeyKept: Bool
        /// Searched columns, those of `search_any` first.
        let columns: [String]

        var select: String {
            let names = columns.map { "\(SQLIdentifier($0))" }.joined(separator: ", ")
            return "SELECT \(SQLIdentifier(key)), \(names) FROM \(SQLIdentifier(table)) "
                + "WHERE \(SQLIdentifier(key)) > ? ORDER BY \(SQLIdentifier(key))"
        }
    }

    /// The server's own database.
    let state: any DatabaseWriter
    /// The external database, for reading.
    let external: ExternalSQLite

    private var path: String { external.path }

    /// Time in seconds after which an interrupted build is ignored.
    private static let lease: TimeInterval = 120

    /// Returns the definition that an index of the table must have; an index with another one is not used.
    func definition(of source: Source) async throws -> String {
        var parts = [source.table, source.key] + source.columns
        // Row numbers that may be reassigned are valid only for one version of the schema.
        if !source.isKeyKept { parts.append("\(try await external.schemaVersion())") }
        return parts.joined(separator: "\u{1F}")
    }

    func record(of source: Source) async throws -> ExternalIndexRecord? {
        try await state.read { db in try ExternalIndexRecord(db, model: source.model) }
    }

    /// Rebuilds an index; searches use the old one until the new one is complete.
    func build(_ source: Source, progress: @escaping @Sendable (IndexProgress) -> Void) async throws -> IndexReport {
        try await leased(source) {
            let started = Date()
            // All of this is read before the first row, so that a change meanwhile makes the index outdated.
            let fingerprint = FileFingerprint.of(path)
            let definition = try await self.definition(of: source)
            let generation = try await state.write { db in
                let record = try ExternalIndexRecord(db, model: source.model)
                // Remains of a build whose process died.
                if let record { try ExternalIndexRecord.drop(record.building, in: db) }
                let generation =
                    (try Int64.fetchOne(db, sql: "SELECT max(max(generation), max(building)) FROM side_index") ?? 0)
                    &+ 1
                try ExternalIndexRecord.create(generation, columns: source.columns.count, in: db)
                try db.execute(
                    sql: "UPDATE side_index SET building = ? WHERE model = ?", arguments: [generation, source.model])
                return generation
            }
            let filled = try await fill(generation, source, isEmpty: true, progress: progress)
            try await state.write { db in
                let old = try ExternalIndexRecord(db, model: source.model)?.generation ?? 0
                try db.execute(
                    sql: """
                        UPDATE side_index SET generation = ?, building = 0, definition = ?, fingerprint = ?, rows = ?,
                            last_id = ?, outdated = 0, checked_at = ? WHERE model = ?
                        """,
                    arguments: [
                        generation, definition, fingerprint, filled.rows, filled.lastID, started.milliseconds,
                        source.model,
                    ])
                try ExternalIndexRecord.drop(old, in: db)
            }
            return IndexReport(rows: filled.rows, changed: filled.rows)
        }
    }

    /// Indexes the rows that differ; rebuilds the index where none of that definition exists, or where much of it is
    /// outdated.
    func update(_ source: Source, progress: @escaping @Sendable (IndexProgress) -> Void) async throws -> IndexReport {
        guard let record = try await record(of: source), record.generation != 0,
            try await record.definition == definition(of: source), record.outdated <= 1000 + record.rows / 4
        else { return try await build(source, progress: progress) }
        return try await leased(source) {
            let started = Date()
            let fingerprint = FileFingerprint.of(path)
            let filled = try await fill(record.generation, source, isEmpty: false, progress: progress)
            try await state.write { db in
                try db.execute(
                    sql: """
                        UPDATE side_index SET fingerprint = ?, rows = ?, last_id = ?, outdated = outdated + ?,
                            checked_at = ? WHERE model = ? AND generation = ?
                        """,
                    arguments: [
                        fingerprint, filled.rows, filled.lastID, filled.outdated, started.milliseconds, source.model,
                        record.generation,
                    ])
            }
            return IndexReport(rows: filled.rows, changed: filled.changed)
        }
    }

    private struct Filled {
        var rows = 0
        var lastID = Int64.min
        var changed = 0
        var outdated = 0
    }

    private func fill(
        _ generation: Int64, _ source: Source, isEmpty: Bool, progress: @Sendable (IndexProgress) -> Void
    ) async throws -> Filled {
        let select = source.select
        let columns = source.columns.count
        let digests = ExternalIndexRecord.digests(generation)
        let total = try await external.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM \(SQLIdentifier(source.table))")
        }
        var filled = Filled()
        progress(IndexProgress(rows: 0, total: total, step: "rows"))
        while true {
            try Task.checkCancellation()
            let last = filled.lastID
            // Several short reads: one long read would keep the site from writing.
            let rows = try await external.read { db in
                try ExternalIndexRows(after: last, columns: columns, source: db.cachedStatement(sql: select))
            }
            let end = rows.hasMore ? rows.ids.last ?? last : Int64.max
            var known: [Int64: Int64] = [:]
            if !isEmpty {
                known = try await state.read { db in
                    let stored = try Row.fetchCursor(
                        db, sql: "SELECT id, digest FROM \(digests) WHERE id > ? AND id <= ?", arguments: [last, end])
                    var known: [Int64: Int64] = [:]
                    while let row = try stored.next() { known[row.integer(0)] = row.integer(1) }
                    return known
                }
            }
            let places = rows.ids.indices.filter { known[rows.ids[$0]] != rows.digests[$0] }
            let present = Set(isEmpty ? [] : rows.ids)
            let gone = known.keys.filter { !present.contains($0) }
            if !places.isEmpty || !gone.isEmpty {
                try await state.write { [gone] db in
                    try rows.insert(places, into: generation, db)
                    for id in gone { try db.execute(sql: "DELETE FROM \(digests) WHERE id = ?", arguments: [id]) }
                    try Self.renewLease(source.model, db)
                }
            }
            filled.rows += rows.ids.count
            filled.changed += places.count + gone.count
            filled.outdated += gone.count + places.count { known[rows.ids[$0]] != nil }
            filled.lastID = rows.ids.last ?? last
            progress(IndexProgress(rows: filled.rows, total: total, step: "rows"))
            if !rows.hasMore { break }
        }
        try await merge(generation, source, progress)
        return filled
    }

    /// Merges the index's segments, a little in each transaction, until few are left: every search opens all of them.
    private func merge(
        _ generation: Int64, _ source: Source, _ progress: @Sendable (IndexProgress) -> Void
    ) async throws {
        let text = ExternalIndexRecord.text(generation)
        for _ in 0..<10_000 {
            try Task.checkCancellation()
            let isDone = try await state.write { db in
                let before = db.totalChangesCount
                try db.execute(sql: "INSERT INTO \(text)(\(text), rank) VALUES ('merge', 2000)")
                try Self.renewLease(source.model, db)
                // FTS5 changes only the two rows of the command itself when nothing is left to merge; the third change
                // is the lease.
                return db.totalChangesCount - before < 3
            }
            if isDone { return }
        }
    }

    // MARK: One at a time

    private func leased<T: Sendable>(_ source: Source, _ body: () async throws -> T) async throws -> T {
        let isOurs = try await state.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO side_index (model) VALUES (?)", arguments: [source.model])
            try db.execute(
                sql: "UPDATE side_index SET lease_until = ? WHERE model = ? AND lease_until < ?",
                arguments: [
                    Date().addingTimeInterval(Self.lease).milliseconds, source.model, Date().milliseconds,
                ])
            return db.changesCount == 1
        }
        guard isOurs else {
            throw StoreError(.busy, "the index of \(source.model) is being made or updated by another process")
        }
        do {
            let value = try await body()
            await release(source)
            return value
        } catch {
            await release(source)
            throw error
        }
    }

    private func release(_ source: Source) async {
        // In a task of its own, because a cancelled one cannot write. If it fails, the lease expires.
        let state = state
        _ = try? await Task {
            try await state.write { db in
                try db.execute(sql: "UPDATE side_index SET lease_until = 0 WHERE model = ?", arguments: [source.model])
            }
        }.value
    }

    private static func renewLease(_ model: String, _ db: Database) throws {
        try db.execute(
            sql: "UPDATE side_index SET lease_until = ? WHERE model = ?",
            arguments: [Date().addingTimeInterval(lease).milliseconds, model])
    }
}
