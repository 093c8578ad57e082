/// Tables of an external database, as configured; not yet compared with its schema.
package struct ExternalTables: Sendable {
    /// Searchable models, in the order in which they are listed to callers.
    package var models: [ExternalModel] = []
    /// Table of the messages of the site's users; nil: the store's own table.
    package var messages: ExternalMessageTable?
    /// Sessions and users of a Django site; nil when that identity is not used.
    package var django: DjangoTables?

    /// Creates the set of tables that are used; empty by default.
    package init(models: [ExternalModel] = [], messages: ExternalMessageTable? = nil, django: DjangoTables? = nil) {
        self.models = models
        self.messages = messages
        self.django = django
    }

    /// True if no table is used.
    package var isEmpty: Bool { models.isEmpty && messages == nil && django == nil }

    /// Descriptions of the tables beside the models, a line each.
    package var summary: [String] {
        var lines: [String] = []
        if let messages { lines.append("messages in \(messages.table): ok") }
        if let django { lines.append("sessions in \(django.sessions), users in \(django.users): ok") }
        return lines
    }
}

/// A searchable table or view.
package struct ExternalModel: Hashable, Sendable {
    /// Callers that can find rows.
    package enum Visibility: Hashable, Sendable {
        case anonymous
        /// Any authenticated caller.
        case authenticated
        /// Only the user whose id the column holds.
        case owner(column: String)
    }

    /// Column that rows are ordered by.
    package struct OrderTerm: Hashable, Sendable {
        /// Name of the column.
        package let column: String
        /// True for descending order.
        package let descending: Bool

        /// Creates an order by a column.
        package init(column: String, descending: Bool) {
            self.column = column
            self.descending = descending
        }
    }

    /// A condition that found rows must meet.
    package struct FilterTerm: Hashable, Sendable {
        /// Value that a column is compared with.
        package enum Value: Hashable, Sendable {
            case text(String)
            case integer(Int64)
            case real(Double)
        }

        /// Name of the column.
        package let column: String
        /// Accepted values.
        package let values: [Value]
        /// True if NULL is accepted too.
        package let acceptsNull: Bool
    }

    /// Name under which callers search the model.
    package let key: String
    /// Name of the table or view.
    package let table: String
    /// Columns searched by `search_any`.
    package let columns: [String]
    /// Template of the row's name; `search_projects` searches its columns.
    package let display: ColumnTemplate
    /// Template of a row's URL.
    package let url: ColumnTemplate
    /// Columns by which rows are ordered; empty: the primary key.
    package let order: [OrderTerm]
    /// Columns whose values identify a row; empty: the primary key.
    package let identity: [String]
    /// Conditions that found rows must meet.
    package let filter: [FilterTerm]
    /// Callers that can find rows.
    package let visibility: Visibility

    /// Returns the columns that a search compares.
    package func columns(_ searched: SearchColumns) -> [String] {
        switch searched {
        case .all: columns
        case .display: display.columns
        }
    }
}

/// A table that receives messages and answers.
package struct ExternalMessageTable: Hashable, Sendable {
    /// Name of the table or view.
    package let table: String
    /// Column of the primary key.
    package let id: String
    /// Column of the user's id.
    package let user: String
    /// Column of the user's text.
    package let message: String
    /// Column of the answer.
    package let response: String
    /// Column of the time.
    package let createdAt: String
    /// True if one user's messages may be deleted.
    package let allowsDeleting: Bool
}

/// A Django site's tables.
package struct DjangoTables: Hashable, Sendable {
    /// Table of sessions.
    package let sessions: String
    /// Table of users.
    package let users: String
    /// Column of the primary key.
    package let id: String
    /// Column of the login name.
    package let username: String
    /// Column of the name shown to others; nil where the site has none.
    package let alias: String?
    /// Column that is true for users who may log in.
    package let active: String
    /// Column of the encoded password.
    package let password: String

    /// Creates the names of a site's tables and the columns of its users.
    package init(
        sessions: String, users: String, id: String, username: String, alias: String?, active: String, password: String
    ) {
        self.sessions = sessions
        self.users = users
        self.id = id
        self.username = username
        self.alias = alias
        self.active = active
        self.password = password
    }
}
