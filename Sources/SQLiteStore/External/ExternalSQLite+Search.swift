import Foundation
import GRDB
package import Store

extension ExternalSQLite {
    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let search = try ExternalSearch(request, of: models) else { return nil }
        return try await scan(search)
    }

    /// Reads the table in its order.
    func scan(_ search: ExternalSearch) async throws -> SearchPage {
        guard search.mayFind else { return SearchPage(hits: [], next: nil) }
        let statements = search.statements
        if statements.keyDirection != 0 {
            // Common letters are found in the first rows; only a search that needs more rows than these waits for its
            // turn.
            var arguments: StatementArguments = ["headRows": SearchScans.headRows]
            if let after = search.request.after { arguments += ["headAfter": after.values[0].databaseValue] }
            let page = try await self.page(
                search, further: [statements.head(goesOn: search.request.after != nil)], arguments)
            if page.next != nil { return page }
        }
        return try await scans.scan { try await self.page(search) }
    }

    private func page(
        _ search: ExternalSearch, further: [String] = [], _ more: StatementArguments = [:]
    ) async throws -> SearchPage {
        search.page(of: try await rows(search, further: further, more, limit: search.request.limit + 1))
    }

    /// Returns the rows that one statement finds.
    /// - Parameter candidates: Keys of the rows that are read; nil: all.
    func rows(
        _ search: ExternalSearch, further: [String] = [], _ more: StatementArguments = [:], candidates: [Int64]? = nil,
        limit: Int
    ) async throws -> [ExternalSearch.Found] {
        let statements = search.statements
        let model = statements.model
        var arguments = search.arguments
        arguments += more
        arguments += ["limit": limit]
        if let candidates {
            arguments += ["candidates": "[\(candidates.map(String.init).joined(separator: ","))]"]
        }
        let sql = statements.search(
            search.request.columns, further: search.further + further, candidates: candidates != nil)
        return try await read { [arguments] db in
            try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map { row in
                var values: [String: String] = [:]
                for (index, column) in statements.read.enumerated() {
                    values[column] = VerbatimText.read(row.bytes(index))
                }
                return ExternalSearch.Found(
                    hit: SearchHit(name: model.display.text(values), url: model.url.url(values)),
                    position: statements.order.position(of: row, at: statements.read.count))
            }
        }
    }

    /// Returns a user's primary key as Django stores it in SQLite: UUIDs without hyphens, everything else as it is
    /// written.
    static func storedID(_ id: String) -> String {
        UUID(uuidString: id) == nil ? id : id.replacing("-", with: "").lowercased()
    }
}

/// A search, translated for the tables.
struct ExternalSearch: Sendable {
    /// A found row with its position.
    struct Found: Sendable {
        let hit: SearchHit
        let position: PagePosition
    }

    let request: SearchRequest
    let statements: ExternalModelStatements
    private(set) var arguments: StatementArguments
    /// Conditions beside those of every search.
    private(set) var further: [String] = []
    /// False if the caller does not own any rows.
    private(set) var mayFind = true

    /// - Creates a search; nil when no model has the key.
    /// - Throws: ``SearchError``.
    init?(_ request: SearchRequest, of models: [ExternalModelStatements]) throws(SearchError) {
        guard let statements = models.first(where: { $0.model.key == request.model }) else { return nil }
        self.request = request
        self.statements = statements
        arguments = ["needle": Data(CaseFolding.fold(utf8: request.query.utf8))]
        for (name, value) in statements.arguments { arguments += [name: value] }
        switch statements.model.visibility {
        case .anonymous: break
        case .authenticated:
            guard request.viewer != nil else { throw SearchError.notAuthenticated }
        case .owner:
            guard let viewer = request.viewer else { throw SearchError.notAuthenticated }
            // Callers without an account on the site own no rows.
            if let id = DjangoUser.userID(ofPrincipal: viewer) {
                arguments += ["viewer": ExternalSQLite.storedID(id)]
            } else {
                mayFind = false
            }
        }
        if let after = request.after {
            let (condition, values) = try statements.order.condition(after: after)
            further.append(condition)
            arguments += values
        }
    }
    /// Returns a page of rows, of which one more than wanted was requested.
    func page(of rows: [Found]) -> SearchPage {
        let page = rows.prefix(request.limit)
        let isCut = rows.count > page.count && statements.order.isTotal
        return SearchPage(hits: page.map(\.hit), next: isCut ? page.last?.position : nil)
    }
}
