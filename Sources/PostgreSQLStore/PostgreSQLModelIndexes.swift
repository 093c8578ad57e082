package import Store

/// Trigram indexes of a database's models, built on request and kept current by PostgreSQL.
struct PostgreSQLModelIndexes: SearchIndexing {
    struct Model: Sendable {
        let key: String
        /// Name of the index, not quoted.
        let index: String
        /// Name of the table, quoted.
        let table: String
        /// Indexed text: expressions over the table's columns.
        let texts: [String]
    }

    let models: [Model]
    /// Cache of the indexes that searches use.
    let known: PostgreSQLIndexes
    let reader: PostgreSQLPool
    /// Pool that builds indexes: beside messages the only writes to an external database.
    let builder: PostgreSQLPool
    /// Pool that reads the progress while ``builder`` works.
    let watcher: PostgreSQLPool

    func searchIndexes() async throws -> [SearchIndexStatus] {
        try await PostgreSQLStore.translating {
            try await reader.run { connection in
                let hasExtension = try PostgreSQLSchema.hasTrigrams(connection)
                return try models.map { model in
                    let state = try PostgreSQLIndexes.state(of: model.index, connection)
                    return SearchIndexStatus(model: model.key, state, hasExtension: hasExtension)
                }
            }
        }
    }

    func buildSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        guard let model = models.first(where: { $0.key == key }) else {
            throw StoreError(.unsupported, "no model \"\(key)\"")
        }
        defer { known.forget() }
        return try await PostgreSQLStore.translating {
            try await PostgreSQLIndexes.build(
                model.index, on: model.texts.map { $0 + " gin_trgm_ops" }.joined(separator: ", "), table: model.table,
                builder: builder, watcher: watcher, progress: progress)
        }
    }

    func updateSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        guard let status = try await searchIndexes().first(where: { $0.model == key }) else {
            throw StoreError(.unsupported, "no model \"\(key)\"")
        }
        if status.state == .missing { return try await buildSearchIndex(model: key, progress: progress) }
        return IndexReport(rows: nil, changed: 0, note: "kept current by PostgreSQL")
    }
}

extension SearchIndexStatus {
    fileprivate init(model: String, _ state: PostgreSQLIndexes.State, hasExtension: Bool) {
        switch state {
        case .valid: self.init(model: model, state: .maintained, detail: "by PostgreSQL")
        case .invalid: self.init(model: model, state: .missing, detail: "an earlier build was interrupted")
        case .missing:
            self.init(
                model: model, state: .missing, detail: hasExtension ? "" : "the extension pg_trgm is not installed")
        }
    }
}

/// A database whose indexes PostgreSQL keeps current.
package protocol PostgreSQLSearchIndexing: SearchIndexing {
    /// Returns the indexes of its models, for its schema.
    /// - Throws: The errors of its searches when the database is unavailable or its schema does not fit.
    func modelIndexes() async throws -> any SearchIndexing
}

extension PostgreSQLSearchIndexing {
    package func searchIndexes() async throws -> [SearchIndexStatus] { try await modelIndexes().searchIndexes() }

    package func buildSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport { try await modelIndexes().buildSearchIndex(model: model, progress: progress) }

    package func updateSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport { try await modelIndexes().updateSearchIndex(model: model, progress: progress) }
}

extension PostgreSQLStore: PostgreSQLSearchIndexing {
    package func modelIndexes() async throws -> any SearchIndexing {
        try await prepare()
        return PostgreSQLModelIndexes(
            models: models.map { model in
                .init(
                    key: model.key, index: model.index, table: model.table,
                    texts: model.columns.map(PostgreSQLSchema.folded))
            }, known: indexes, reader: pool, builder: pool, watcher: scans)
    }
}

extension ExternalPostgreSQL: PostgreSQLSearchIndexing {
    package func modelIndexes() async throws -> any SearchIndexing {
        let models = try await models()
        return PostgreSQLModelIndexes(
            models: models.models.map { entry in
                .init(
                    key: entry.model.key, index: PostgreSQLModels.index(entry.model),
                    table: "\(SQLIdentifier(entry.model.table))",
                    texts: entry.model.columns.map { "(\(models.fold("\(SQLIdentifier($0))::text")))" })
            }, known: indexes, reader: reader, builder: writer, watcher: reader)
    }
}
