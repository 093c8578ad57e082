import Store

/// One user's exchanges in a table of PostgreSQL, ours or somebody else's, newest first.
struct PostgreSQLMessagePage: Sendable {
    /// What is selected: what ``read`` reads, three columns.
    let columns: String
    /// Quoted where it needs it.
    let table: String
    /// The column with the user's key.
    let user: String
    let order: PostgreSQLOrder
    let read: @Sendable (PostgreSQLRow) -> StoredMessage

    /// - Parameters:
    ///   - instant, id: columns of ``table``, qualified: a bare name would mean the column of the result, which is text.
    init(
        columns: String, of table: String, user: String, instant: String, isInstantNullable: Bool, id: String,
        read: @escaping @Sendable (PostgreSQLRow) -> StoredMessage
    ) {
        self.columns = columns
        self.table = table
        self.user = user
        order = PostgreSQLOrder(
            terms: [
                .init(expression: instant, descending: true, isNullable: isInstantNullable),
                .init(expression: id, descending: true, isNullable: false),
            ], isTotal: true)
        self.read = read
    }

    func messages(
        of key: String, limit: Int, after: PagePosition?, on pool: PostgreSQLPool
    ) async throws -> MessagePage {
        var parameters = PostgreSQLParameters()
        var condition = "\(user) = \(parameters.bind(.text(key)))"
        if let after { condition += " AND " + (try order.condition(after: after, &parameters)) }
        let keys = order.terms.map { "\($0.expression)::text" }.joined(separator: ", ")
        let sql = """
            SELECT \(columns), \(keys) FROM \(table) WHERE \(condition)
            ORDER BY \(order.clause) LIMIT \(parameters.bind(.integer(Int64(limit + 1))))
            """
        let values = parameters.values
        let rows = try await PostgreSQLStore.translating(isLater: after != nil) {
            try await pool.run { connection in
                try connection.rows(sql, values) { (read($0), order.position(of: $0, at: 3)) }
            }
        }
        let page = rows.prefix(limit)
        return MessagePage(messages: page.map(\.0), next: rows.count > page.count ? page.last?.1 : nil)
    }
}
