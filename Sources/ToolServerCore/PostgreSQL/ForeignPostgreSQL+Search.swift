extension ForeignPostgreSQL {
    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard tables.models.contains(where: { $0.key == request.model }) else { return nil }
        let models = try await models()
        guard let found = models.models.first(where: { $0.model.key == request.model }) else { return nil }
        let model = found.model
        var parameters = PostgreSQLParameters()
        var conditions: [String] = []
        switch model.visibility {
        case .anonymous: break
        case .authenticated:
            guard request.viewer != nil else { throw SearchRefusal.notAuthenticated }
        case .owner(let owner):
            guard let viewer = request.viewer else { throw SearchRefusal.notAuthenticated }
            // Users that are not the site's own none of its rows.
            guard let id = DjangoIdentity.userID(ofPrincipal: viewer) else { return SearchPage(hits: [], next: nil) }
            conditions.append("row.\(SQLIdentifier(owner))::text = \(parameters.bind(.text(id)))::text")
        }
        for term in model.filter {
            let column = "row.\(SQLIdentifier(term.column))"
            var accepted: [String] = term.acceptsNull ? ["\(column) IS NULL"] : []
            for value in term.values { accepted.append("\(column) = \(parameters.bind(.init(value)))") }
            conditions.append("(\(accepted.joined(separator: " OR ")))")
        }
        let shown = model.display.columns
        let read = shown + model.url.columns.filter { !shown.contains($0) }
        let searched =
            switch request.columns {
            case .all: model.columns
            case .display: model.display.columns
            }
        let prepared = parameters
        return try await PostgreSQLStore.translating(isLater: request.after != nil) {
            let table = "\(SQLIdentifier(model.table))"
            func folded(_ columns: [String]) -> [String] {
                columns.map { models.fold("row.\(SQLIdentifier($0))::text") }
            }
            // The index is over the columns that are searched by default.
            let trigrams =
                searched.allSatisfy(model.columns.contains)
                ? try await indexes.trigrams(
                    of: PostgreSQLModels.index(model), table: table, columns: folded(model.columns), reader) : nil
            let source = PostgreSQLSearch.Source(
                table: table, searched: folded(searched),
                read: read.map { "row.\(SQLIdentifier($0))::text" }, order: found.order, conditions: conditions,
                isOrderIndexed: found.isOrderIndexed,
                trigrams: trigrams, fold: models.fold)
            guard
                let search = try PostgreSQLSearch(
                    request.query, in: source, parameters: prepared, after: request.after, limit: request.limit,
                    walkedFirst: settings.walkedFirst)
            else { return SearchPage(hits: [], next: nil) }
            return try await search.run(on: reader, scans: scans) { row in
                var values: [String: String] = [:]
                for (index, column) in read.enumerated() { values[column] = row.text(Int32(index)) }
                return SearchHit(name: model.display.text(values), url: model.url.url(values))
            }
        }
    }

    package func describe(_ statement: ReadOnlyStatement) throws -> [StatementColumn] {
        try PostgreSQLStatements(pool: reader).describe(statement)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], limit: Int, timeout: Duration
    ) async throws -> StatementRows {
        _ = try await models()
        return try await PostgreSQLStatements(pool: reader)
            .run(statement, arguments: arguments, limit: limit, timeout: timeout)
    }

    // MARK: Indexes

    package func searchIndexes() async throws -> [SearchIndexStatus] {
        let models = try await models().models
        return try await read { connection in
            try models.map { entry in
                let state = try PostgreSQLIndexes.state(of: PostgreSQLModels.index(entry.model), connection)
                return switch state {
                case .valid: SearchIndexStatus(model: entry.model.key, state: .maintained, detail: "by PostgreSQL")
                case .invalid:
                    SearchIndexStatus(model: entry.model.key, state: .missing, detail: "its making did not end")
                case .missing: SearchIndexStatus(model: entry.model.key, state: .missing)
                }
            }
        }
    }

    /// Makes an index on the table itself, which its owner must allow: the one thing beside messages that is written.
    package func buildSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        let models = try await models()
        guard let model = models.models.first(where: { $0.model.key == key })?.model else {
            throw StoreError(.unsupported, "no model \"\(key)\"")
        }
        defer { indexes.forget() }
        let definition = model.columns.map { column in
            "(\(models.fold("\(SQLIdentifier(column))::text"))) gin_trgm_ops"
        }
        return try await PostgreSQLStore.translating {
            try await PostgreSQLIndexes.build(
                PostgreSQLModels.index(model), on: definition.joined(separator: ", "),
                table: "\(SQLIdentifier(model.table))", builder: writer, watcher: reader, progress: progress)
        }
    }

    package func updateSearchIndex(
        model key: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport {
        guard let status = try await searchIndexes().first(where: { $0.model == key }) else {
            throw StoreError(.unsupported, "no model \"\(key)\"")
        }
        if status.state == .missing { return try await buildSearchIndex(model: key, progress: progress) }
        return IndexReport(rows: nil, changed: 0, note: "kept current by PostgreSQL")
    }
}

extension PostgreSQLValue {
    /// As text, for the column's type to be inferred: a boolean takes 1 and 0 as well.
    fileprivate init(_ value: ForeignModel.FilterTerm.Value) {
        switch value {
        case .text(let text): self = .text(text)
        case .integer(let number): self = .integer(number)
        case .real(let number): self = .real(number)
        }
    }
}
