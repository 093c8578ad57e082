package import Store

extension ExternalPostgreSQL {
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
            guard request.viewer != nil else { throw SearchError.notAuthenticated }
        case .owner(let owner):
            guard let viewer = request.viewer else { throw SearchError.notAuthenticated }
            // Callers without an account on the site own no rows.
            guard let id = DjangoUser.userID(ofPrincipal: viewer) else { return SearchPage(hits: [], next: nil) }
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
        let searched = model.columns(request.columns)
        let prepared = parameters
        return try await PostgreSQLStore.translating(isLater: request.after != nil) {
            let table = "\(SQLIdentifier(model.table))"
            func folded(_ columns: [String]) -> [String] {
                columns.map { models.fold("row.\(SQLIdentifier($0))::text") }
            }
            // The index covers the columns that are searched by default.
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

    package func describe(_ statement: ReadOnlyStatement, session: [String]) throws -> [StatementColumn] {
        try PostgreSQLStatements(pool: reader).describe(statement, session: session)
    }

    package func columns(of statement: ReadOnlyStatement, session: [String]) async throws -> [StatementColumn] {
        _ = try await models()
        return try await PostgreSQLStatements(pool: reader).columns(of: statement, session: session)
    }

    package func run(
        _ statement: ReadOnlyStatement, arguments: [StoreValue], session: [SessionVariable], limit: Int,
        timeout: Duration
    ) async throws -> StatementRows {
        _ = try await models()
        return try await PostgreSQLStatements(pool: reader)
            .run(statement, arguments: arguments, session: session, limit: limit, timeout: timeout)
    }

    package func bypassesRowSecurity() async throws -> Bool {
        try await PostgreSQLStatements(pool: reader).bypassesRowSecurity()
    }
}

extension PostgreSQLValue {
    /// Creates the value; the type is inferred from the column, and a boolean column accepts 1 and 0 as well.
    fileprivate init(_ value: ExternalModel.FilterTerm.Value) {
        switch value {
        case .text(let text): self = .text(text)
        case .integer(let number): self = .integer(number)
        case .real(let number): self = .real(number)
        }
    }
}
