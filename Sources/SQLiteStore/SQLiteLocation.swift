/// Location of a SQLite database.
package enum SQLiteLocation: Hashable, Sendable, CustomStringConvertible {
    /// A private database that ends with the process.
    case memory
    /// A database in the file at a path.
    case file(String)

    package var description: String {
        switch self {
        case .memory: ":memory:"
        case .file(let path): path
        }
    }
}
