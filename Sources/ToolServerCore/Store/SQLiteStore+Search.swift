import Foundation
import GRDB

extension SQLiteStore {
    /// How many scalars of the query the index is asked for. The rest of a longer query is compared row by row with
    /// the few candidates: a phrase of tens of thousands of trigrams would open as many iterators.
    private static let indexedPrefix = 32

    package func search(
        model key: String, query: String, columns: SearchColumns, viewer: String?, limit: Int
    ) async throws -> [SearchHit]? {
        guard let model = models.first(where: { $0.key == key }) else { return nil }
        let searched =
            switch columns {
            case .all: model.columns
            case .display: [model.display]
            }
        let needle = Data(CaseFolding.fold(utf8: query.utf8))
        let pattern = Self.trigramPattern(query, columns: searched)
        let matches = searched.map { "contains_folded(CAST(row.\($0) AS BLOB), :needle)" }.joined(separator: " OR ")
        let select = "SELECT CAST(row.\(model.display) AS BLOB) AS name, \(model.url) AS url"
        let sql =
            if pattern != nil {
                // The index yields rows in id order, so the first matches end the walk; CROSS keeps it outermost.
                """
                \(select) FROM \(model.index) CROSS JOIN \(model.table) AS row ON row.id = \(model.index).rowid
                WHERE \(model.index) MATCH :pattern AND (\(matches))
                ORDER BY \(model.index).rowid LIMIT :limit
                """
            } else {
                "\(select) FROM \(model.table) AS row WHERE \(matches) ORDER BY row.id LIMIT :limit"
            }
        return try await read { db in
            var arguments: StatementArguments = ["needle": needle, "limit": limit]
            if let pattern { arguments += ["pattern": pattern] }
            return try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map { row in
                SearchHit(name: VerbatimText.read(row["name"]), url: row["url"])
            }
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
