/// What the configuration says of tables that belong to somebody else. Names are as written there, not yet compared
/// with a schema.
package struct ForeignTables: Sendable {
    /// Searchable models, in the order in which they are listed to callers.
    package var models: [ForeignModel] = []
    /// Where messages of the site's users are stored; nil: in our own table.
    package var messages: ForeignMessageTable?
    /// Sessions and users of a Django site; nil when that identity is not used.
    package var django: DjangoTables?

    /// Names the tables that are used; none by default.
    package init(models: [ForeignModel] = [], messages: ForeignMessageTable? = nil, django: DjangoTables? = nil) {
        self.models = models
        self.messages = messages
        self.django = django
    }

    /// Whether any of them is used.
    package var isEmpty: Bool { models.isEmpty && messages == nil && django == nil }

    /// What is used beside the models, a line each.
    package var summary: [String] {
        var lines: [String] = []
        if let messages { lines.append("messages in \(messages.table): ok") }
        if let django { lines.append("sessions in \(django.sessions), users in \(django.users): ok") }
        return lines
    }
}

/// A searchable table or view.
package struct ForeignModel: Hashable, Sendable {
    /// Who finds rows.
    package enum Visibility: Hashable, Sendable {
        case anonymous
        /// Any logged-in caller.
        case authenticated
        /// The user whose id the column holds.
        case owner(column: String)
    }

    package struct OrderTerm: Hashable, Sendable {
        package let column: String
        package let descending: Bool

        /// Orders by a column.
        package init(column: String, descending: Bool) {
            self.column = column
            self.descending = descending
        }
    }

    /// A condition that every row found fulfils.
    package struct FilterTerm: Hashable, Sendable {
        package enum Value: Hashable, Sendable {
            case text(String)
            case integer(Int64)
            case real(Double)
        }

        package let column: String
        /// Accepted values; NULL is accepted where `acceptsNull`.
        package let values: [Value]
        package let acceptsNull: Bool
    }

    /// What callers name it.
    package let key: String
    package let table: String
    /// Columns searched by `search_any`.
    package let columns: [String]
    /// Shown as the row's name; its columns are what `search_projects` searches.
    package let display: ColumnTemplate
    package let url: ColumnTemplate
    /// Empty: by the primary key.
    package let order: [OrderTerm]
    /// Columns that tell any two rows apart; empty: the primary key.
    package let identity: [String]
    package let filter: [FilterTerm]
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
package struct ForeignMessageTable: Hashable, Sendable {
    package let table: String
    package let id: String
    package let user: String
    package let message: String
    package let response: String
    package let createdAt: String
    /// Whether one user's messages may be removed from it.
    package let allowsDeleting: Bool
}

/// A Django site's tables.
package struct DjangoTables: Hashable, Sendable {
    package let sessions: String
    package let users: String
    package let id: String
    package let username: String
    /// Nil where the site has no such column.
    package let alias: String?
    package let active: String
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
