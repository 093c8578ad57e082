import Store

/// Parameters of a statement in the order in which they are bound.
struct PostgreSQLParameters {
    private(set) var values: [PostgreSQLValue] = []

    /// Adds a value and returns its placeholder.
    mutating func bind(_ value: PostgreSQLValue) -> String {
        values.append(value)
        return "$\(values.count)"
    }
}

/// Order of rows in PostgreSQL, and the condition for the rows of the next page.
struct PostgreSQLOrder: Sendable {
    struct Term: Hashable, Sendable {
        /// An SQL expression over `row`.
        let expression: String
        var descending = false
        /// False where the expression is never NULL, which simplifies the condition.
        var isNullable = true
    }

    /// Terms, the most significant first.
    let terms: [Term]
    /// True if the terms distinguish any two rows; pages need that.
    let isTotal: Bool

    /// Text after ORDER BY. NULL comes last, and first when descending, as in an index of the database.
    var clause: String {
        terms.map { $0.expression + ($0.descending ? " DESC" : "") }.joined(separator: ", ")
    }

    /// Returns the condition for the rows after a position.
    /// - Throws: ``SearchError/invalidPosition`` when the position does not belong to this order.
    func condition(
        after position: PagePosition, _ parameters: inout PostgreSQLParameters
    ) throws(SearchError) -> String {
        guard isTotal, position.values.count == terms.count else { throw .invalidPosition }
        var alternatives: [String] = []
        var equal: [String] = []
        for (term, value) in zip(terms, position.values) {
            let text: String?
            switch value {
            case .null: text = nil
            case .text(let value): text = value
            case .integer(let value): text = String(value)
            case .real, .blob, .boolean: throw .invalidPosition
            }
            guard let text, !text.utf8.contains(0) else {
                guard value == .null, term.isNullable else { throw .invalidPosition }
                if term.descending {
                    alternatives.append((equal + ["\(term.expression) IS NOT NULL"]).joined(separator: " AND "))
                }
                equal.append("\(term.expression) IS NULL")
                continue
            }
            let bound = parameters.bind(.text(text))
            let beyond =
                term.descending
                ? "\(term.expression) < \(bound)"
                : term.isNullable
                    ? "(\(term.expression) > \(bound) OR \(term.expression) IS NULL)" : "\(term.expression) > \(bound)"
            alternatives.append((equal + [beyond]).joined(separator: " AND "))
            equal.append("\(term.expression) = \(bound)")
        }
        if alternatives.isEmpty { return "false" }
        return "(\(alternatives.joined(separator: " OR ")))"
    }

    /// Returns the position of a row that has the terms' values as text from `index` on.
    func position(of row: PostgreSQLRow, at index: Int) -> PagePosition {
        PagePosition(terms.indices.map { offset in row[Int32(index + offset)].map { .text($0) } ?? .null })
    }
}

/// One search for a literal substring.
///
/// Frequent words are found by reading the first rows in order; a word that these contain too rarely is rare, and the
/// trigram index finds it at once. Neither way alone is fast: an index that returns 100,000 rows to be sorted is slow,
/// and so is reading the whole table for five rows.
struct PostgreSQLSearch: Sendable {
    /// Number of scalars of the query from which trigrams are taken.
    private static let indexedPrefix = 256
    /// Largest number of rows expected from the index for which it is used first; reading more would cost more than
    /// reading in order.
    private static let fewCandidates = 2000.0

    /// Statement that reads the first rows in order; nil where that is not shorter than ``walk``, or where they are
    /// unlikely to suffice.
    private(set) var head: String?
    /// Statement that uses the trigram index; nil where the index cannot answer the query.
    private(set) var indexed: String?
    /// Statement that reads all rows in order until there are enough.
    let walk: String
    let values: [PostgreSQLValue]
    /// Values of ``indexed``, which include the trigrams.
    private let indexedValues: [PostgreSQLValue]
    let limit: Int
    let order: PostgreSQLOrder
    /// Number of result columns before those of the order.
    let width: Int

    /// Table and columns that are searched.
    struct Source {
        /// Name of the table, quoted.
        let table: String
        /// Folded text, as expressions over `row`, any of which may contain the query.
        let searched: [String]
        /// Expressions over `row` that are read as text.
        let read: [String]
        let order: PostgreSQLOrder
        /// Conditions that found rows must meet.
        let conditions: [String]
        /// True if an index has the order, so that reading the first rows is cheap.
        let isOrderIndexed: Bool
        /// Frequencies in the trigram index over all of ``searched``; nil without an index.
        let trigrams: PostgreSQLTrigrams?
        /// Returns the folded form of an operand.
        let fold: (String) -> String
    }

    /// Creates a search; nil when no text in PostgreSQL can contain the query.
    init?(
        _ query: String, in source: Source, parameters: PostgreSQLParameters, after: PagePosition?, limit: Int,
        walkedFirst: Int
    ) throws {
        let scalars = query.unicodeScalars
        guard !scalars.contains("\0") else { return nil }
        var parameters = parameters
        self.limit = limit
        order = source.order
        width = source.read.count
        var conditions = source.conditions
        if let after { conditions.append(try source.order.condition(after: after, &parameters)) }

        // Folding on the server costs as much as everything else. ASCII, which most queries are, folds the same
        // everywhere.
        let isASCII = query.utf8.allSatisfy { $0 < 0x80 }
        func folded(_ text: String) -> String {
            isASCII
                ? parameters.bind(.text(text.lowercased())) + "::text"
                : source.fold(parameters.bind(.text(text)) + "::text")
        }
        // In a subquery, because otherwise a prepared statement would fold the query again for every row.
        let needle = isASCII ? folded(query) : "(SELECT \(folded(query)))"
        let tests = source.searched.map { "strpos(\($0), \(needle)) > 0" }
        let match = "(\(tests.joined(separator: " OR ")))"
        let count = parameters.bind(.integer(Int64(limit + 1)))
        let ordering = source.order.terms.map(\.expression)
        let select = "SELECT " + (source.read + ordering.map { "\($0)::text" }).joined(separator: ", ")
        let clause = source.order.clause
        func filtered(_ conditions: [String]) -> String {
            conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
        }
        walk =
            "\(select) FROM \(source.table) AS row \(filtered(conditions + [match])) ORDER BY \(clause) LIMIT \(count)"
        let choice = source.trigrams?.rarest(of: scalars.prefix(Self.indexedPrefix))
        let isRare =
            choice.map {
                $0.expectedRows <= Self.fewCandidates && $0.share * Double(walkedFirst) * 2 <= Double(limit)
            } ?? false
        if source.isOrderIndexed, !isRare {
            head = """
                \(select) FROM (SELECT * FROM \(source.table) AS row \(filtered(conditions))
                    ORDER BY \(clause) LIMIT \(walkedFirst)) AS row
                WHERE \(match) ORDER BY \(clause) LIMIT \(count)
                """
        }
        values = parameters.values
        let trigrams = choice?.trigrams ?? []
        if !trigrams.isEmpty {
            let patterns = trigrams.map { folded("%\($0)%") }
            let found =
                source.read.enumerated().map { "\($1) AS value\($0)" }
                + ordering.enumerated().map { "\($1) AS key\($0)" }
            let columns = source.read.indices.map { "value\($0)" } + ordering.indices.map { "key\($0)::text" }
            // Qualified: an unqualified name would mean the column of the result, which is text.
            let keys = source.order.terms.enumerated().map { "found.key\($0)" + ($1.descending ? " DESC" : "") }
            let candidates = zip(source.searched, tests).map { column, test in
                "(\((patterns.map { "\(column) LIKE \($0)" } + [test]).joined(separator: " AND ")))"
            }
            let condition = "(\(candidates.joined(separator: " OR ")))"
            indexed = """
                WITH found AS MATERIALIZED (
                    SELECT \(found.joined(separator: ", ")) FROM \(source.table) AS row
                    \(filtered(conditions + [condition]))
                )
                SELECT \(columns.joined(separator: ", ")) FROM found
                ORDER BY \(keys.joined(separator: ", ")) LIMIT \(count)
                """
        }
        indexedValues = parameters.values
    }

    /// Runs the statements that are needed.
    /// - Parameters:
    ///   - pool: Pool for quick statements.
    ///   - scans: Pool for reading the whole table.
    ///   - read: Reads the columns before those of the order.
    func run(
        on pool: PostgreSQLPool, scans: PostgreSQLPool, read: @escaping @Sendable (PostgreSQLRow) throws -> SearchHit
    ) async throws -> SearchPage {
        if head != nil || indexed != nil {
            let found = try await pool.run { connection -> SearchPage? in
                if let head {
                    let page = try page(head, on: connection, read)
                    if page.hits.count == limit, page.next != nil || !order.isTotal { return page }
                }
                guard let indexed else { return nil }
                // Planned for this query: its rarity decides.
                return try page(indexed, on: connection, keptPrepared: false, read)
            }
            if let found { return found }
        }
        do {
            return try await scans.run { connection in try page(walk, on: connection, read) }
        } catch let error as StoreError where error.kind == .busy {
            throw SearchError.tooManyScans
        }
    }

    private func page(
        _ sql: String, on connection: PostgreSQLConnection, keptPrepared: Bool = true,
        _ read: (PostgreSQLRow) throws -> SearchHit
    ) throws -> SearchPage {
        var hits: [SearchHit] = []
        var last: PagePosition?
        var more = false
        func take(_ row: PostgreSQLRow) throws {
            if hits.count == limit {
                more = true
                return
            }
            hits.append(try read(row))
            if hits.count == limit { last = order.position(of: row, at: width) }
        }
        if keptPrepared {
            try connection.execute(sql, values, row: take)
        } else {
            try connection.executeOnce(sql, indexedValues, row: take)
        }
        return SearchPage(hits: hits, next: more && order.isTotal ? last : nil)
    }
}

/// Errors that are caused by values from outside.
extension PostgreSQLError {
    /// True if a value does not fit the column's type: text instead of a number, a number out of range, an invalid
    /// date.
    var isAboutAValue: Bool { ["22P02", "22003", "22007", "22008", "22021", "22P03"].contains(code) }
}
