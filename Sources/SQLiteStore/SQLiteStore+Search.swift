import Foundation
import GRDB
package import Store

extension SQLiteStore {
    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let model = models.first(where: { $0.key == request.model }) else { return nil }
        let searched = model.columns(request.columns)
        if let pattern = TrigramPhrase.expression(request.query, columns: searched) {
            // The index yields rows in id order, so that reading ends with the page; CROSS JOIN makes SQLite read it
            // first.
            return try await search(
                request, model, searched,
                source: "\(model.index) CROSS JOIN \(model.table) AS row ON row.id = \(model.index).rowid",
                id: "\(model.index).rowid", condition: "\(model.index) MATCH :pattern", ["pattern": pattern])
        }
        // Common letters are found in the first rows; only a search that needs more than these waits for its turn to
        // read all of them.
        var head = "id <= (SELECT max(id) FROM (SELECT id FROM \(model.table) ORDER BY id LIMIT :head))"
        var arguments: StatementArguments = ["head": SearchScans.headRows]
        if let after = request.after, case .integer(let last)? = after.values.first {
            head = head.replacing("ORDER BY", with: "WHERE id > :last ORDER BY")
            arguments += ["last": last]
        }
        let source = "\(model.table) AS row"
        let page = try await search(
            request, model, searched, source: source, id: "row.id", condition: "row." + head, arguments)
        if page.next != nil { return page }
        return try await scans.scan {
            try await search(request, model, searched, source: source, id: "row.id", condition: nil, [:])
        }
    }

    private func search(
        _ request: SearchRequest, _ model: SearchModel, _ searched: [String], source: String, id: String,
        condition: String?, _ further: StatementArguments
    ) async throws -> SearchPage {
        let order = KeysetOrder(terms: [.init(expression: id)], isTotal: true)
        var arguments: StatementArguments = [
            "needle": Data(CaseFolding.fold(utf8: request.query.utf8)), "limit": request.limit + 1,
        ]
        arguments += further
        var conditions = condition.map { [$0] } ?? []
        if let after = request.after {
            let (following, values) = try order.condition(after: after)
            conditions.append(following)
            arguments += values
        }
        let matches = searched.map { "contains_folded(row.\($0), :needle)" }
        conditions.append("(\(matches.joined(separator: " OR ")))")
        let sql = """
            SELECT CAST(row.\(model.display) AS BLOB), \(model.url), \(order.columns.joined(separator: ", "))
            FROM \(source) WHERE \(conditions.joined(separator: " AND ")) ORDER BY \(order.clause) LIMIT :limit
            """
        return try await read { [arguments] db in
            let rows = try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
            let page = rows.prefix(request.limit)
            return SearchPage(
                hits: page.map { SearchHit(name: VerbatimText.read($0.bytes(0)), url: $0.text(1)) },
                next: rows.count > page.count ? page.last.map { order.position(of: $0, at: 2) } : nil)
        }
    }
}
