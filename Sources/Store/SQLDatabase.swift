/// One connection to a database of the server, for statements that every engine understands: parameters are `$1`, `$2`
/// and so on, in the order of their first appearance; values are integers, texts without NUL, and blobs.
package protocol SQLConnection {
    /// Runs a statement; returns the number of changed rows.
    @discardableResult
    func change(_ sql: String, _ values: [StoreValue]) throws -> Int

    /// Runs a query; returns its rows.
    func select(_ sql: String, _ values: [StoreValue]) throws -> [[StoreValue]]
}

/// A database of the server that runs statements in transactions.
package protocol SQLDatabase: Sendable {
    /// Runs statements in one transaction; a thrown error rolls it back.
    func inTransaction<T: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> T) async throws -> T
}

extension StoreValue {
    /// Value as an integer; 0 for any other.
    package var number: Int64 { if case .integer(let number) = self { number } else { 0 } }

    /// Value as a text; empty for any other.
    package var string: String { if case .text(let text) = self { text } else { "" } }

    /// Value as bytes; empty for any other.
    package var bytes: [UInt8] { if case .blob(let bytes) = self { bytes } else { [] } }
}
