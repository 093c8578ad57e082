import Foundation
import GRDB

extension ForeignSQLite {
    package func search(
        model key: String, query: String, columns: SearchColumns, viewer: String?, limit: Int
    ) async throws -> [SearchHit]? {
        guard let statements = models.first(where: { $0.model.key == key }) else { return nil }
        let model = statements.model
        var arguments: StatementArguments = [
            "needle": Data(CaseFolding.fold(utf8: query.utf8)), "limit": limit,
        ]
        for (name, value) in statements.arguments { arguments += [name: value] }
        switch model.visibility {
        case .anonymous: break
        case .authenticated:
            guard viewer != nil else { throw SearchRefusal.notAuthenticated }
        case .owner:
            guard let viewer else { throw SearchRefusal.notAuthenticated }
            // Users that are not the site's own none of its rows.
            guard let id = DjangoIdentity.userID(ofPrincipal: viewer) else { return [] }
            arguments += ["viewer": Self.storedID(id)]
        }
        let sql =
            switch columns {
            case .all: statements.searchAll
            case .display: statements.searchDisplay
            }
        return try await read { [arguments] db in
            try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map { row in
                var values: [String: String] = [:]
                for (index, column) in statements.read.enumerated() {
                    values[column] = (row[index] as Data?).map(VerbatimText.read) ?? ""
                }
                return SearchHit(name: model.display.text(values), url: model.url.url(values))
            }
        }
    }

    /// A user's primary key as Django stores it in SQLite: UUIDs without hyphens, everything else as it is written.
    static func storedID(_ id: String) -> String {
        UUID(uuidString: id) == nil ? id : id.replacing("-", with: "").lowercased()
    }
}
