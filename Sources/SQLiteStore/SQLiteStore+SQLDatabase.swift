import Foundation
import GRDB
package import Store

extension SQLiteStore: SQLDatabase {
    package func inTransaction<T: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> T
    ) async throws -> T {
        try await write { db in try body(SQLiteConnection(db: db)) }
    }
}

/// A connection of SQLite for statements that every engine understands.
struct SQLiteConnection: SQLConnection {
    let db: Database

    func change(_ sql: String, _ values: [StoreValue]) throws -> Int {
        try db.cachedStatement(sql: sql).execute(arguments: Self.arguments(values))
        return db.changesCount
    }

    func select(_ sql: String, _ values: [StoreValue]) throws -> [[StoreValue]] {
        try Row.fetchAll(db.cachedStatement(sql: sql), arguments: Self.arguments(values)).map { row in
            row.databaseValues.map { value in
                switch value.storage {
                case .null: .null
                case .int64(let number): .integer(number)
                case .double(let number): .real(number)
                case .string(let text): .text(text)
                case .blob(let data): .blob([UInt8](data))
                }
            }
        }
    }

    private static func arguments(_ values: [StoreValue]) -> StatementArguments {
        StatementArguments(
            values.map { value -> DatabaseValue in
                if case .text(let text) = value { text.databaseValue } else { value.databaseValue }
            })
    }
}
