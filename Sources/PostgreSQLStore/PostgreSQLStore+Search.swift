package import Store

extension PostgreSQLStore {
    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let model = models.first(where: { $0.key == request.model }) else { return nil }
        let searched = model.columns(request.columns)
        try await prepare()
        return try await Self.translating(isLater: request.after != nil) {
            let source = PostgreSQLSearch.Source(
                table: model.table, searched: searched.map { "row." + PostgreSQLSchema.folded($0) },
                read: ["row.\(model.display)", model.url],
                order: PostgreSQLOrder(terms: [.init(expression: "row.id", isNullable: false)], isTotal: true),
                conditions: [], isOrderIndexed: true,
                trigrams: try await indexes.trigrams(
                    of: model.index, table: model.table,
                    columns: model.columns.map { "row." + PostgreSQLSchema.folded($0) }, pool),
                fold: { "tool_server_fold(\($0))" })
            guard
                let search = try PostgreSQLSearch(
                    request.query, in: source, parameters: PostgreSQLParameters(), after: request.after,
                    limit: request.limit, walkedFirst: settings.walkedFirst)
            else { return SearchPage(hits: [], next: nil) }
            return try await search.run(on: pool, scans: scans) { SearchHit(name: $0.text(0), url: $0.text(1)) }
        }
    }
}
