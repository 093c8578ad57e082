import Foundation
import GRDB
package import Store

/// Search of external tables that uses external indexes where they exist and are fresh, and the tables themselves
/// otherwise. Rows found by an index are always verified in the table.
struct IndexedExternalSearch: SearchRegistry, SearchIndexing {
    let external: ExternalSQLite
    let indexes: ExternalIndexes
    /// Time after the last comparison for which an index of a changed file is still used, in seconds.
    let lag: TimeInterval

    /// Largest number of candidates that are read and sorted when the order is not that of the index.
    private static let maximumCandidates = 50_000

    var searchModels: [String] { external.searchModels }

    func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let search = try ExternalSearch(request, of: external.models) else { return nil }
        guard search.mayFind else { return SearchPage(hits: [], next: nil) }
        if let page = try await indexed(search) { return page }
        return try await external.scan(search)
    }

    /// Returns the page by an index; nil when there is none, or it would not help.
    private func indexed(_ search: ExternalSearch) async throws -> SearchPage? {
        let model = search.statements.model
        guard let source = search.statements.index else { return nil }
        let columns = model.columns(search.request.columns)
        let names = columns.compactMap { source.columns.firstIndex(of: $0) }.map { "c\($0)" }
        guard let pattern = TrigramPhrase.expression(search.request.query, columns: names) else { return nil }
        let candidates = IndexCandidates(
            source: source, pattern: pattern, definition: try await indexes.definition(of: source),
            fingerprint: FileFingerprint.of(external.path), indexes: indexes, lag: lag)
        let direction = search.statements.keyDirection
        let page =
            direction == 0
            ? try await sorted(search, candidates)
            : try await walked(search, candidates, ascending: direction > 0)
        // The rows may have been renumbered between reading the index and reading the table.
        if !source.isKeyKept, try await indexes.definition(of: source) != candidates.definition { return nil }
        return page
    }

    /// Returns rows in another order than the index's: all candidates, sorted by the statement.
    private func sorted(_ search: ExternalSearch, _ candidates: IndexCandidates) async throws -> SearchPage? {
        let most = Self.maximumCandidates + 1
        guard let keys = try await candidates.keys(after: nil, ascending: true, limit: most), keys.count < most else {
            return nil
        }
        return search.page(
            of: try await external.rows(search, candidates: keys, limit: search.request.limit + 1))
    }

    /// Returns rows in the order of the index: reading ends with the page.
    private func walked(
        _ search: ExternalSearch, _ candidates: IndexCandidates, ascending: Bool
    ) async throws -> SearchPage? {
        let wanted = search.request.limit + 1
        var rows: [ExternalSearch.Found] = []
        var last: Int64?
        if let after = search.request.after {
            guard case .integer(let key)? = after.values.first else { throw SearchError.invalidPosition }
            last = key
        }
        var batch = max(32, wanted)
        while true {
            try Task.checkCancellation()
            guard let keys = try await candidates.keys(after: last, ascending: ascending, limit: batch) else {
                return nil
            }
            if !keys.isEmpty {
                rows += try await external.rows(search, candidates: keys, limit: wanted - rows.count)
            }
            if keys.count < batch || rows.count == wanted { return search.page(of: rows) }
            last = keys.last
            batch = min(batch * 4, 4096)
        }
    }

    // MARK: Making indexes

    func searchIndexes() async throws -> [SearchIndexStatus] {
        var found: [SearchIndexStatus] = []
        for statements in external.models {
            let model = statements.model.key
            guard let source = statements.index else {
                found.append(SearchIndexStatus(model: model, state: .unsupported, detail: Self.unsupported))
                continue
            }
            guard let record = try await indexes.record(of: source), record.generation != 0 else {
                found.append(SearchIndexStatus(model: model, state: .missing))
                continue
            }
            let state: SearchIndexStatus.State
            let detail: String
            if try await record.definition != indexes.definition(of: source) {
                (state, detail) = (
                    .stale, source.isKeyKept ? "made for other columns" : "made for other columns or another schema"
                )
            } else if record.fingerprint == FileFingerprint.of(external.path) {
                (state, detail) = (.fresh, "")
            } else {
                (state, detail) = (.stale, "the file was written to since \(record.checkedAt.timestamp)")
            }
            found.append(SearchIndexStatus(model: model, state: state, rows: record.rows, detail: detail))
        }
        return found
    }

    func buildSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        let source = try source(of: model)
        return try await translating { try await indexes.build(source, progress: progress) }
    }

    func updateSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        let source = try source(of: model)
        return try await translating { try await indexes.update(source, progress: progress) }
    }

    private static let unsupported = "the rows of a view and of a table WITHOUT ROWID have no numbers"

    private func source(of model: String) throws -> ExternalIndexes.Source {
        guard let statements = external.models.first(where: { $0.model.key == model }) else {
            throw StoreError(.unsupported, "no model \"\(model)\"")
        }
        guard let source = statements.index else {
            throw StoreError(.unsupported, "model \(model): \(Self.unsupported)")
        }
        return source
    }

    private func translating<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch { throw SQLiteStore.translate(error) }
    }
}

/// Keys of the rows that may match: from an index, and from the rows of the table that are newer than the index.
struct IndexCandidates: Sendable {
    let source: ExternalIndexes.Source
    let pattern: String
    /// Definition of the table's index, read before the search.
    let definition: String
    /// Fingerprint of the external file, taken before the search.
    let fingerprint: String
    let indexes: ExternalIndexes
    let lag: TimeInterval

    private struct Indexed: Sendable {
        var keys: [Int64]
        let lastID: Int64
        /// True if the table has not changed since it was indexed.
        let isFresh: Bool
    }

    /// Returns the next keys in their order; fewer than `limit`: there are no more. Nil: no index can be used.
    func keys(after: Int64?, ascending: Bool, limit: Int) async throws -> [Int64]? {
        guard var found = try await indexed(after: after, ascending: ascending, limit: limit) else { return nil }
        if found.isFresh { return found.keys }
        if ascending {
            if found.keys.count < limit {
                let start = max(found.lastID, after ?? .min)
                found.keys += try await newKeys(
                    after: start, before: nil, ascending: true, limit: limit - found.keys.count)
            }
            return found.keys
        }
        // In descending order new rows come first.
        guard after == nil || (after ?? 0) > found.lastID else { return found.keys }
        let new = try await newKeys(after: found.lastID, before: after, ascending: false, limit: limit)
        return new + found.keys.prefix(limit - new.count)
    }

    private func indexed(after: Int64?, ascending: Bool, limit: Int) async throws -> Indexed? {
        let text = ascending ? "rowid > :after ORDER BY rowid" : "rowid < :after ORDER BY rowid DESC"
        do {
            return try await indexes.state.read { db in
                guard let record = try ExternalIndexRecord(db, model: source.model), record.generation != 0,
                    record.definition == definition
                else { return nil }
                let isFresh = record.fingerprint == fingerprint
                // Another file at the path may be entirely different.
                let isSameFile = FileFingerprint.isSameFile(record.fingerprint, fingerprint)
                if !isFresh, !isSameFile || Date().timeIntervalSince(record.checkedAt) > lag { return nil }
                let table = ExternalIndexRecord.text(record.generation)
                let keys = try Int64.fetchAll(
                    db.cachedStatement(
                        sql: "SELECT rowid FROM \(table) WHERE \(table) MATCH :pattern AND \(text) LIMIT :limit"),
                    arguments: ["pattern": pattern, "after": after ?? (ascending ? .min : .max), "limit": limit])
                return Indexed(keys: keys, lastID: record.lastID, isFresh: isFresh)
            }
        } catch let error as DatabaseError where error.resultCode != .SQLITE_INTERRUPT {
            // An index that cannot be read must not prevent a search of the table.
            return nil
        }
    }

    /// Returns the keys of rows that were added since the index was compared with the table.
    private func newKeys(
        after: Int64, before: Int64?, ascending: Bool, limit: Int
    ) async throws -> [Int64] {
        let (key, table) = (SQLIdentifier(source.key), SQLIdentifier(source.table))
        let order = ascending ? "ASC" : "DESC"
        let sql = """
            SELECT \(key) FROM \(table) WHERE \(key) > ? AND \(key) < ? ORDER BY \(key) \(order) LIMIT ?
            """
        return try await indexes.external.read { db in
            try Int64.fetchAll(db.cachedStatement(sql: sql), arguments: [after, before ?? .max, limit])
        }
    }
}

extension ExternalSQLite {
    package func indexedSearch(store: any Store, refresh: Duration) -> any SearchRegistry & SearchIndexing {
        guard let store = store as? SQLiteStore else { return UnindexedExternalSearch(external: self) }
        return IndexedExternalSearch(
            external: self, indexes: ExternalIndexes(state: store.database, external: self),
            lag: refresh * 2 / .seconds(1))
    }
}

/// Search of the tables without an index, where the server's own database is of another engine.
struct UnindexedExternalSearch: SearchRegistry, SearchIndexing {
    let external: ExternalSQLite

    private static let reason = StoreError(
        .unsupported, "indexes of an external SQLite database are kept in a SQLite state database")

    var searchModels: [String] { external.searchModels }

    func search(_ request: SearchRequest) async throws -> SearchPage? { try await external.search(request) }

    func searchIndexes() async throws -> [SearchIndexStatus] {
        searchModels.map { SearchIndexStatus(model: $0, state: .unsupported, detail: Self.reason.description) }
    }

    func buildSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport { throw Self.reason }

    func updateSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport { throw Self.reason }
}
