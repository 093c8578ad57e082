extension ForeignSQLite {
    package func searchIndexes() async throws -> [SearchIndexStatus] {
        searchModels.map { SearchIndexStatus(model: $0, state: .missing) }
    }

    package func buildSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        throw StoreError(.unsupported, "models over somebody else's SQLite tables have no index")
    }

    package func updateSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        throw StoreError(.unsupported, "models over somebody else's SQLite tables have no index")
    }
}
