import Foundation
import GRDB

extension SQLiteStore {
    /// How many scalars of the query the index is asked for. The rest of a longer query is compared row by row with
    /// the few candidates: a phrase of tens of thousands of trigrams would open as many iterators.
    private static let indexedPrefix = 32

    package func search(_ request: SearchRequest) async throws -> SearchPage? {
        guard let model = models.first(where: { $0.key == request.model }) else { return nil }
        let searched =
            switch request.columns {
            case .all: model.columns
            case .display: [model.display]
            }
        let pattern = Self.trigramPattern(request.query, columns: searched)
        // The index yields rows in id order, so the first matches end the walk; CROSS keeps it outermost.
        let source =
            pattern == nil
            ? "\(model.table) AS row"
            : "\(model.index) CROSS JOIN \(model.table) AS row ON row.id = \(model.index).rowid"
        let order = KeysetOrder(
            terms: [.init(expression: pattern == nil ? "row.id" : "\(model.index).rowid")], isTotal: true)
        var arguments: StatementArguments = [
            "needle": Data(CaseFolding.fold(utf8: request.query.utf8)), "limit": request.limit + 1,
        ]
        var conditions: [String] = []
        if let pattern {
            conditions.append("\(model.index) MATCH :pattern")
            arguments += ["pattern": pattern]
        }
        if let after = request.after {
            let (condition, values) = try order.condition(after: after)
            conditions.append(condition)
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
                hits: page.map { SearchHit(name: VerbatimText.read($0[0]), url: $0[1]) },
                next: rows.count > page.count ? page.last.map { order.position(of: $0, at: 2) } : nil)
        }
    }

    /// The full-text expression for a literal substring, or `nil` when the index cannot answer: fewer than three
    /// scalars make no trigram, and SQLite reads an expression only up to a NUL.
    private static func trigramPattern(_ query: String, columns: [String]) -> String? {
        let prefix = query.unicodeScalars.prefix(indexedPrefix)
        guard prefix.count >= 3, !prefix.contains("\0") else { return nil }
        var phrase = String.UnicodeScalarView()
        for scalar in prefix {
            phrase.append(scalar)
            if scalar == "\"" { phrase.append(scalar) }
        }
        return "{\(columns.joined(separator: " "))} : \"\(String(phrase))\""
    }
}
