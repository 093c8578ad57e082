import JSON
package import JSONConfiguration

/// A table or view as it is in the external database.
package struct ExternalTable: Sendable {
    /// Column of a table or view.
    package struct Column: Sendable {
        /// Name in the database.
        package let name: String
        /// Position in the primary key from 1 on; 0 outside it.
        let keyPosition: Int
        /// True if an insert must name the column.
        package let isRequired: Bool

        /// Creates the description of a column.
        package init(name: String, keyPosition: Int, isRequired: Bool) {
            self.name = name
            self.keyPosition = keyPosition
            self.isRequired = isRequired
        }
    }

    /// Number by which SQLite identifies a table's rows.
    package struct RowNumber: Hashable, Sendable {
        /// The INTEGER PRIMARY KEY, or one of SQLite's own names for the number.
        package let column: String
        /// True if a row keeps its number: without an INTEGER PRIMARY KEY, VACUUM may renumber the rows.
        package let isKept: Bool

        /// Creates the description of the numbers of a table's rows.
        package init(column: String, isKept: Bool) {
            self.column = column
            self.isKept = isKept
        }
    }

    /// Name in the database.
    package let name: String
    /// Columns, in the order of the table.
    package let columns: [Column]
    /// SQLite's numbers of the rows; nil for views, and for tables WITHOUT ROWID.
    package var rowNumber: RowNumber?

    /// Creates the description of a table or view.
    package init(name: String, columns: [Column], rowNumber: RowNumber? = nil) {
        self.name = name
        self.columns = columns
        self.rowNumber = rowNumber
    }

    /// Names of the primary key's columns, in its order.
    package var primaryKey: [String] {
        columns.filter { $0.keyPosition > 0 }.sorted { $0.keyPosition < $1.keyPosition }.map(\.name)
    }
}

/// Comparison of the configured names with a database's schema. Names that pass it exist, and are safe to quote into a
/// statement.
package struct ExternalSchemaCheck {
    /// Tables and views of the database.
    package let tables: [ExternalTable]
    /// Differences that were found.
    package private(set) var errors: [ConfigurationError] = []

    /// Prepares a comparison with a schema.
    package init(_ tables: [ExternalTable]) {
        self.tables = tables
    }

    /// Checks all configured names; errors are added to ``errors``.
    package mutating func check(_ configured: ExternalTables) {
        for model in configured.models { check(model) }
        if let messages = configured.messages { check(messages) }
        if let django = configured.django { check(django) }
    }

    private mutating func check(_ model: ExternalModel) {
        let path = "toolServer.search.models.\(model.key)"
        guard let table = table(model.table, at: path + ".table") else { return }
        require(model.columns, of: table, at: path + ".columns")
        require(model.display.columns, of: table, at: path + ".display")
        require(model.url.columns, of: table, at: path + ".url")
        require(model.order.map(\.column), of: table, at: path + ".order")
        require(model.identity, of: table, at: path + ".key")
        require(model.filter.map(\.column), of: table, at: path + ".filter")
        if case .owner(let column) = model.visibility { require([column], of: table, at: path + ".owner") }
        if model.order.isEmpty, model.identity.isEmpty, table.primaryKey.isEmpty {
            fail(path + ".order", "columns to order by, as \(table.name) has no primary key", "nothing")
        }
    }

    private mutating func check(_ messages: ExternalMessageTable) {
        let path = "toolServer.messages"
        guard let table = table(messages.table, at: path + ".table") else { return }
        require([messages.id], of: table, at: path + ".id")
        let written: KeyValuePairs = [
            "user": messages.user, "message": messages.message, "response": messages.response,
            "createdAt": messages.createdAt,
        ]
        for (key, column) in written { require([column], of: table, at: "\(path).\(key)") }
        let known = Set(written.map(\.value))
        for column in table.columns where column.isRequired && !known.contains(column.name) {
            fail(path + ".table", "a table that takes a message without more", "\(table.name) requires \(column.name)")
        }
    }

    private mutating func check(_ django: DjangoTables) {
        let path = "toolServer.django"
        if let sessions = table(django.sessions, at: path + ".sessions.table") {
            require(["session_key", "session_data", "expire_date"], of: sessions, at: path + ".sessions.table")
        }
        guard let users = table(django.users, at: path + ".users.table") else { return }
        let columns: KeyValuePairs = [
            "id": django.id, "username": django.username, "alias": django.alias ?? django.username,
            "active": django.active, "password": django.password,
        ]
        for (key, column) in columns { require([column], of: users, at: "\(path).users.\(key)") }
    }

    private mutating func table(_ name: String, at path: String) -> ExternalTable? {
        if let table = tables.first(where: { $0.name == name }) { return table }
        let near = tables.first { $0.name.lowercased() == name.lowercased() }.map { " (there is \($0.name))" } ?? ""
        fail(path, "a table or view of the database", "\"\(name.printable)\"\(near)")
        return nil
    }

    private mutating func require(_ columns: [String], of table: ExternalTable, at path: String) {
        for column in columns where !table.columns.contains(where: { $0.name == column }) {
            let known = table.columns.map(\.name).joined(separator: ", ")
            fail(path, "a column of \(table.name): \(known)", "\"\(column.printable)\"")
        }
    }

    private mutating func fail(_ path: String, _ expected: String, _ found: String) {
        errors.append(ConfigurationError(path: path, expected: expected, found: found))
    }
}
