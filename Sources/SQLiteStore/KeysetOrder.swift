import Foundation
import GRDB
import Store

/// Order of rows in SQLite, and the condition for the rows of the next page. There is no OFFSET, so that rows added or
/// removed between two pages neither repeat nor hide another one.
struct KeysetOrder: Sendable {
    struct Term: Hashable, Sendable {
        /// An SQL expression, usually a quoted column.
        let expression: String
        var descending = false
    }

    /// Terms, the most significant first.
    let terms: [Term]
    /// True if the terms distinguish any two rows; pages need that.
    let isTotal: Bool

    /// Text after ORDER BY.
    var clause: String {
        terms.map { $0.expression + ($0.descending ? " DESC" : "") }.joined(separator: ", ")
    }

    /// Result columns, two for each term, from which ``position(of:at:)`` reads.
    var columns: [String] {
        terms.flatMap { term in
            // Text is read as a blob, because GRDB cuts text at its first NUL.
            [
                "typeof(\(term.expression))",
                "CASE typeof(\(term.expression)) WHEN 'text' THEN CAST(\(term.expression) AS BLOB) "
                    + "ELSE \(term.expression) END",
            ]
        }
    }

    /// Returns the position of a row whose columns from `index` on are ``columns``.
    func position(of row: Row, at index: Int) -> PagePosition {
        PagePosition(
            terms.indices.map { term in
                let (type, value) = (index + term * 2, index + term * 2 + 1)
                switch (row.text(type), (row[value] as DatabaseValue).storage) {
                case ("integer", .int64(let number)): return .integer(number)
                case ("real", .double(let number)): return .real(number)
                case ("text", _): return .text(VerbatimText.read(row.bytes(value)))
                case ("blob", _): return .blob([UInt8](row.bytes(value)))
                default: return .null
                }
            })
    }

    /// Returns the condition for the rows after a position, with its values as `:after0` and so on.
    /// - Throws: ``SearchError/invalidPosition`` when the position does not belong to this order.
    func condition(
        after position: PagePosition
    ) throws(SearchError) -> (sql: String, arguments: StatementArguments) {
        guard isTotal, position.values.count == terms.count else { throw .invalidPosition }
        var arguments = StatementArguments()
        var alternatives: [String] = []
        var equal: [String] = []
        for (index, (term, value)) in zip(terms, position.values).enumerated() {
            let name = "after\(index)"
            let bound = if case .text = value { "CAST(:\(name) AS TEXT)" } else { ":\(name)" }
            let isNull = value == .null
            if !isNull { arguments += [name: value.databaseValue] }
            // NULL comes first in SQLite, last when descending.
            let beyond: String? =
                switch (isNull, term.descending) {
                case (true, false): "\(term.expression) IS NOT NULL"
                case (true, true): nil
                case (false, false): "\(term.expression) > \(bound)"
                case (false, true): "(\(term.expression) < \(bound) OR \(term.expression) IS NULL)"
                }
            if let beyond { alternatives.append((equal + [beyond]).joined(separator: " AND ")) }
            equal.append(isNull ? "\(term.expression) IS NULL" : "\(term.expression) = \(bound)")
        }
        if alternatives.isEmpty { return ("FALSE", arguments) }
        return (alternatives.count == 1 ? alternatives[0] : "(\(alternatives.joined(separator: " OR ")))", arguments)
    }
}

extension StoreValue {
    /// Value for binding; text as a blob, to be cast in the statement.
    var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .boolean(let flag): (flag ? 1 : 0).databaseValue
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .text(let text): VerbatimText.bind(text).databaseValue
        case .blob(let bytes): Data(bytes).databaseValue
        }
    }
}
