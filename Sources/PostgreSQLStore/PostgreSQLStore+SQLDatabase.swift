package import Store

extension PostgreSQLStore: SQLDatabase {
    package func inTransaction<T: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> T
    ) async throws -> T {
        try await write { connection in try body(PostgreSQLTransaction(connection: connection)) }
    }
}

/// Connection of PostgreSQL, in a transaction, for statements that every engine understands.
struct PostgreSQLTransaction: SQLConnection {
    let connection: PostgreSQLConnection

    func change(_ sql: String, _ values: [StoreValue]) throws -> Int {
        try connection.execute(sql, values.map(PostgreSQLValue.init))
    }

    func select(_ sql: String, _ values: [StoreValue]) throws -> [[StoreValue]] {
        try connection.rows(sql, values.map(PostgreSQLValue.init)) { row in
            (0..<row.count).map { PostgreSQLStatements.value(row, $0) }
        }
    }
}
