import GRDB
package import Store

extension SQLiteStore {
    /// Number of rows indexed between two reports of progress.
    private static let indexBatch: Int64 = 20_000

    package func searchIndexes() async throws -> [SearchIndexStatus] {
        models.map { SearchIndexStatus(model: $0.key, state: .maintained, detail: "by triggers") }
    }

    /// Rebuilds the index. Needed only after the disk was damaged, because triggers keep the index current.
    package func buildSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        guard let model = models.first(where: { $0.key == key }) else {
            throw StoreError(.unsupported, "no model \"\(key)\"")
        }
        let columns = model.columns.joined(separator: ", ")
        // One transaction: a trigger that removes a row not indexed yet would damage the index.
        return try await write { db in
            let total = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(model.table)") ?? 0
            try db.execute(sql: "INSERT INTO \(model.index)(\(model.index)) VALUES ('delete-all')")
            var done = 0
            var last = Int64.min
            progress(IndexProgress(rows: 0, total: total, step: "rows"))
            while let end = try Int64.fetchOne(
                db,
                sql: """
                    SELECT max(id) FROM (SELECT id FROM \(model.table) WHERE id > ? ORDER BY id LIMIT ?)
                    """, arguments: [last, Self.indexBatch])
            {
                try db.execute(
                    sql: """
                        INSERT INTO \(model.index)(rowid, \(columns))
                        SELECT id, \(columns) FROM \(model.table) WHERE id > ? AND id <= ? ORDER BY id
                        """, arguments: [last, end])
                done += db.changesCount
                last = end
                progress(IndexProgress(rows: done, total: total, step: "rows"))
            }
            return IndexReport(rows: done, changed: done)
        }
    }

    package func updateSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        guard models.contains(where: { $0.key == key }) else { throw StoreError(.unsupported, "no model \"\(key)\"") }
        return IndexReport(rows: nil, changed: 0, note: "kept current by triggers")
    }
}
