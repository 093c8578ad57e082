import Foundation
import GRDB

extension ForeignSQLite {
    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let statements = models.first(where: { $0.model.key == request.model }) else { return nil }
        let model = statements.model
        var arguments: StatementArguments = [
            "needle": Data(CaseFolding.fold(utf8: request.query.utf8)), "limit": request.limit + 1,
        ]
        for (name, value) in statements.arguments { arguments += [name: value] }
        switch model.visibility {
        case .anonymous: break
        case .authenticated:
            guard request.viewer != nil else { throw SearchRefusal.notAuthenticated }
        case .owner:
            guard let viewer = request.viewer else { throw SearchRefusal.notAuthenticated }
            // Users that are not the site's own none of its rows.
            guard let id = DjangoIdentity.userID(ofPrincipal: viewer) else { return SearchPage(hits: [], next: nil) }
            arguments += ["viewer": Self.storedID(id)]
        }
        var further: [String] = []
        if let after = request.after {
            let (condition, values) = try statements.order.condition(after: after)
            further.append(condition)
            arguments += values
        }
        let sql = statements.search(request.columns, further: further)
        return try await read { [arguments] db in
            let rows = try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
            let page = rows.prefix(request.limit)
            let hits = page.map { row in
                var values: [String: String] = [:]
                for (index, column) in statements.read.enumerated() {
                    values[column] = (row[index] as Data?).map(VerbatimText.read) ?? ""
                }
                return SearchHit(name: model.display.text(values), url: model.url.url(values))
            }
            let next: PagePosition? =
                if statements.order.isTotal, rows.count > page.count, let last = page.last {
                    statements.order.position(of: last, at: statements.read.count)
                } else { nil }
            return SearchPage(hits: hits, next: next)
        }
    }

    /// A user's primary key as Django stores it in SQLite: UUIDs without hyphens, everything else as it is written.
    static func storedID(_ id: String) -> String {
        UUID(uuidString: id) == nil ? id : id.replacing("-", with: "").lowercased()
    }
}
