import GRDB

/// The statements that search a configured model; made once.
struct ForeignModelStatements: Sendable {
    let model: ForeignModel
    /// Columns read for display and URL, in the order of the result.
    let read: [String]
    /// `:needle`, `:viewer` (owned models) and `:limit` are bound by the caller, the rest comes with ``arguments``.
    let searchAll: String
    let searchDisplay: String
    let arguments: [(name: String, value: DatabaseValue)]

    init(_ model: ForeignModel, primaryKey: [String]) {
        self.model = model
        var read = model.display.columns
        for column in model.url.columns where !read.contains(column) { read.append(column) }
        self.read = read
        var arguments: [(name: String, value: DatabaseValue)] = []
        let conditions = Self.conditions(model, &arguments)
        self.arguments = arguments
        let order =
            model.order.isEmpty
            ? primaryKey.map { Self.column($0) }
            : model.order.map { Self.column($0.column) + ($0.descending ? " DESC" : "") }
        func statement(searching columns: [String]) -> String {
            let matches = columns.map { "contains_folded(CAST(\(Self.column($0)) AS BLOB), :needle)" }
            return """
                SELECT \(read.map { "CAST(\(Self.column($0)) AS BLOB)" }.joined(separator: ", "))
                FROM \(SQLIdentifier(model.table)) AS row
                WHERE \((conditions + ["(\(matches.joined(separator: " OR ")))"]).joined(separator: " AND "))
                ORDER BY \(order.joined(separator: ", ")) LIMIT :limit
                """
        }
        searchAll = statement(searching: model.columns)
        searchDisplay = statement(searching: model.display.columns)
    }

    private static func column(_ name: String) -> String { "row.\(SQLIdentifier(name))" }

    /// What every found row fulfils. The configured values are bound, never written into the statement.
    private static func conditions(
        _ model: ForeignModel, _ arguments: inout [(name: String, value: DatabaseValue)]
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

extension ForeignModel.FilterTerm.Value {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .text(let text): text.databaseValue
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        }
    }
}
