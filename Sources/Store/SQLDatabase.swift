/// One connection to a database of ours, for statements that every engine understands: parameters are `$1`, `$2` and so
/// on, in the order of their first appearance; values are integers, texts without NUL, and blobs.
package protocol SQLConnection {
    /// Runs a statement; returns how many rows it changed.
    @discardableResult
    func change(_ sql: String, _ values: [StoreValue]) throws -> Int

    /// Runs a query; returns its rows.
    func select(_ sql: String, _ values: [StoreValue]) throws -> [[StoreValue]]
}

/// A database of ours that runs statements in transactions.
package protocol SQLDatabase: Sendable {
    /// Runs statements in one transaction, which a thrown error undoes.
    func inTransaction<T: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> T) async throws -> T
}

extension StoreValue {
    /// The number; 0 for anything else.
    package var number: Int64 { if case .integer(let number) = self { number } else { 0 } }

    /// The text; empty for anything else.
    package var string: String { if case .text(let text) = self { text } else { "" } }

    /// The bytes; empty for anything else.
    package var bytes: [UInt8] { if case .blob(let bytes) = self { bytes } else { [] } }
}
