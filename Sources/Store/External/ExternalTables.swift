/// Tables of an external database, as configured. Names are as written there, not yet compared
/// with a schema.
package struct ExternalTables: Sendable {
    /// Searchable models, in the order in which they are listed to callers.
    package var models: [ExternalModel] = []
    /// Table of the messages of the site's users; nil: the store's own table.
    package var messages: ExternalMessageTable?
    /// Sessions and users of a Django site; nil when that identity is not used.
    package var django: DjangoTables?

    /// Names the tables that are used; none by default.
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
    /// Callers that find rows.
    package enum Visibility: Hashable, Sendable {
        case anonymous
        /// Any logged-in caller.
        case authenticated
        /// The user whose id the column holds.
        case owner(column: String)
    }

    /// Column that rows are ordered by.
    package struct OrderTerm: Hashable, Sendable {
        /// Name of the column.
        package let column: String
        /// Descending instead of ascending order.
        package let descending: Bool

        /// Orders by a column.
        package init(column: String, descending: Bool) {
            self.column = column
            self.descending = descending
        }
    }

    /// A condition that every row found fulfils.
    package struct FilterTerm: Hashable, Sendable {
        /// Value that a column is compared with.
        package enum Value: Hashable, Sendable {
            case text(String)
            case integer(Int64)
            case real(Double)
        }

        /// Name of the column.
        package let column: String
        /// Accepted values; NULL is accepted where `acceptsNull`.
        package let values: [Value]
        /// Acceptance of NULL.
        package let acceptsNull: Bool
    }

    /// Name that callers use.
    package let key: String
    /// Name of the table or view.
    package let table: String
    /// Columns searched by `search_any`.
    package let columns: [String]
    /// Shown as the row's name; its columns are what `search_projects` searches.
    package let display: ColumnTemplate
    /// Template of a row's URL.
    package let url: ColumnTemplate
    /// Empty: by the primary key.
    package let order: [OrderTerm]
    /// Columns that tell any two rows apart; empty: the primary key.
    package let identity: [String]
    /// Conditions that every found row fulfils.
    package let filter: [FilterTerm]
    /// Callers that find rows.
    package let visibility: Visibility

    /// The columns that a search looks at.
    package func columns(_ searched: SearchColumns) -> [String] {
        switch searched {
        case .all: columns
        case .display: display.columns
        }
    }
}

/// A table that takes messages and answers.
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
    /// Permission to remove one user's messages.
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
    /// Nil where the site has no such column.
    package let alias: String?
    /// Column that says if the user may log in.
    package let active: String
    /// Column of the encoded password.
    package let password: String

    /// Names the tables of a site and the columns of its users.
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
