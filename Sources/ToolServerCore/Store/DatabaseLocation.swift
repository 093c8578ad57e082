/// Where the store is, as `--database` and the configuration name it.
package enum DatabaseLocation: Hashable, Sendable, CustomStringConvertible {
    /// A private database that ends with the process.
    case memory
    /// A file path.
    case file(String)

    /// Parses a path, `sqlite:PATH`, or `:memory:`.
    /// - Throws: ``StoreError`` of kind `unsupported` for any other scheme, `cannotOpen` for an empty path.
    package init(parsing text: String) throws(StoreError) {
        if text == ":memory:" || text == "sqlite::memory:" {
            self = .memory
            return
        }
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            throw StoreError(.unsupported, "database: PostgreSQL is not supported by this build; use a SQLite path")
        }
        var path = Substring(text)
        if path.hasPrefix("sqlite:") {
            path = path.dropFirst("sqlite:".count)
            // sqlite:///absolute and sqlite://relative are written by people used to other tools.
            if path.hasPrefix("//") { path = path.dropFirst(2) }
        } else if let range = path.firstRange(of: "://") {
            let scheme = path[..<range.lowerBound]
            throw StoreError(
                .unsupported, "database: unknown scheme \"\(scheme)\"; expected a path, sqlite:PATH or :memory:")
        }
        guard !path.isEmpty else { throw StoreError(.cannotOpen, "database: the path is empty") }
        guard !path.utf8.contains(0) else { throw StoreError(.cannotOpen, "database: the path contains NUL") }
        self = .file(String(path))
    }

    package var description: String {
        switch self {
        case .memory: ":memory:"
        case .file(let path): path
        }
    }
}
