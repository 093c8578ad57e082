package import PostgreSQLStore
package import Store

/// Location of the store, as `--database` and the configuration name it.
package enum DatabaseLocation: Hashable, Sendable, CustomStringConvertible {
    /// A private database that ends with the process.
    case memory
    /// A database in the file at a path.
    case file(String)
    /// A database of a PostgreSQL server.
    case postgreSQL(PostgreSQLLocation)

    /// Parses a path, `sqlite:PATH`, `:memory:`, or a URL of the scheme `postgres` or `postgresql`.
    /// - Throws: ``StoreError`` of kind `unsupported` for any other scheme, `cannotOpen` for an empty path or a URL
    ///   that libpq cannot read.
    package init(parsing text: String) throws(StoreError) {
        if text == ":memory:" || text == "sqlite::memory:" {
            self = .memory
            return
        }
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgreSQL(try PostgreSQLLocation(parsing: text))
            return
        }
        var path = Substring(text)
        if path.hasPrefix("sqlite:") {
            path = path.dropFirst("sqlite:".count)
            // sqlite:///absolute and sqlite://relative are the spellings of other tools.
            if path.hasPrefix("//") { path = path.dropFirst(2) }
        } else if let range = path.firstRange(of: "://") {
            let scheme = path[..<range.lowerBound]
            throw StoreError(
                .unsupported,
                "database: unknown scheme \"\(scheme)\"; expected a path, sqlite:PATH, :memory: or postgres://…")
        }
        guard !path.isEmpty else { throw StoreError(.cannotOpen, "database: the path is empty") }
        guard !path.utf8.contains(0) else { throw StoreError(.cannotOpen, "database: the path contains NUL") }
        self = .file(String(path))
    }

    package var description: String {
        switch self {
        case .memory: ":memory:"
        case .file(let path): path
        case .postgreSQL(let location): location.description
        }
    }

    /// Password in the location, for redaction.
    package var password: String? {
        guard case .postgreSQL(let location) = self else { return nil }
        return location.password?.value
    }
}
