import GRDB
import Store

/// Parts of the statements that search a configured model, made once.
struct ExternalModelStatements: Sendable {
    let model: ExternalModel
    /// Columns for name and URL, in the order of the result.
    let read: [String]
    /// Order of the model, extended by its key where it leaves rows equal.
    let order: KeysetOrder
    /// Source of the external index; nil where the table cannot have one.
    let index: ExternalIndexes.Source?
    private let matchesAll: String
    private let matchesDisplay: String
    private let conditions: [String]
    /// Arguments of ``conditions`` beside `:viewer`.
    let arguments: [(name: String, value: DatabaseValue)]

    init(_ model: ExternalModel, primaryKey: [String], rowNumber: ExternalTable.RowNumber?) {
        self.model = model
        var read = model.display.columns
        for column in model.url.columns where !read.contains(column) { read.append(column) }
        self.read = read
        var arguments: [(name: String, value: DatabaseValue)] = []
        conditions = Self.conditions(model, &arguments)
        self.arguments = arguments
        let key = model.identity.isEmpty ? primaryKey : model.identity
        var terms = model.order
        for column in key where !terms.contains(where: { $0.column == column }) {
            terms.append(.init(column: column, descending: false))
        }
        order = KeysetOrder(
            terms: terms.map { .init(expression: Self.column($0.column), descending: $0.descending) },
            isTotal: !key.isEmpty)
        index = rowNumber.map { number in
            let display = model.display.columns.filter { !model.columns.contains($0) }
            return ExternalIndexes.Source(
                model: model.key, table: model.table, key: number.column, isKeyKept: number.isKept,
                columns: model.columns + display)
        }
        matchesAll = Self.matches(model.columns)
        matchesDisplay = Self.matches(model.display.columns)
    }

    /// Returns a statement with the arguments `:needle`, `:limit`, those in ``arguments``, for owned models `:viewer`,
    /// and those of `further`. The columns of ``read`` come first, then those of ``order``.
    /// - Parameter candidates: True if only rows with the keys of the JSON array `:candidates` are read.
    func search(_ columns: SearchColumns, further: [String] = [], candidates: Bool = false) -> String {
        let matches =
            switch columns {
            case .all: matchesAll
            case .display: matchesDisplay
            }
        var source = "\(SQLIdentifier(model.table)) AS row"
        if candidates, let index {
            // CROSS JOIN makes SQLite read the candidates first, whatever its planner prefers.
            source =
                "json_each(:candidates) AS candidate CROSS JOIN \(source) "
                + "ON \(Self.column(index.key)) = candidate.value"
        }
        return """
            SELECT \((read.map { "CAST(\(Self.column($0)) AS BLOB)" } + order.columns).joined(separator: ", "))
            FROM \(source)
            WHERE \((conditions + further + [matches]).joined(separator: " AND "))
            ORDER BY \(order.clause) LIMIT :limit
            """
    }

    /// Direction of the rows in the key of the index: 1 ascending, -1 descending, 0 neither.
    var keyDirection: Int {
        guard let index, let first = order.terms.first, order.isTotal, first.expression == Self.column(index.key)
        else { return 0 }
        return first.descending ? -1 : 1
    }

    /// Returns the condition that limits the keys to the first `:headRows` rows, after `:headAfter` where a page
    /// continues.
    func head(goesOn: Bool) -> String {
        guard let index else { return "TRUE" }
        let (key, table) = (SQLIdentifier(index.key), SQLIdentifier(model.table))
        let (order, bound, following) =
            keyDirection < 0 ? ("DESC", "min", "<") : ("ASC", "max", ">")
        let start = goesOn ? "WHERE \(key) \(following) :headAfter " : ""
        return "\(Self.column(index.key)) \(following == "<" ? ">=" : "<=") (SELECT \(bound)(\(key)) FROM "
            + "(SELECT \(key) FROM \(table) \(start)ORDER BY \(key) \(order) LIMIT :headRows))"
    }

    private static func matches(_ columns: [String]) -> String {
        let matches = columns.map { "contains_folded(\(column($0)), :needle)" }
        return "(\(matches.joined(separator: " OR ")))"
    }

    private static func column(_ name: String) -> String { "row.\(SQLIdentifier(name))" }

    /// Returns the conditions that found rows must meet. The configured values are bound, never written into the
    /// statement.
    private static func conditions(
        _ model: ExternalModel, _ arguments: inout [(name: String, value: DatabaseValue)]
    ) -> [String] {
        var conditions: [String] = []
        if case .owner(let owner) = model.visibility { conditions.append("\(column(owner)) = :viewer") }
        for term in model.filter {
            var accepted: [String] = term.acceptsNull ? ["\(column(term.column)) IS NULL"] : []
            for value in term.values {
                let name = "filter\(arguments.count)"
                arguments.append((name, value.databaseValue))
                accepted.append("\(column(term.column)) = :\(name)")
            }
            conditions.append("(\(accepted.joined(separator: " OR ")))")
        }
        return conditions
    }
}

extension ExternalModel.FilterTerm.Value {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .text(let text): text.databaseValue
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        }
    }
}
