/// What the configuration says of tables that belong to somebody else. Names are as written there, not yet compared
/// with a schema.
package struct ForeignTables: Sendable {
    /// Searchable models, in the order in which they are listed to callers.
    var models: [ForeignModel] = []
    /// Where messages of the site's users are stored; nil: in our own table.
    var messages: ForeignMessageTable?
    /// Sessions and users of a Django site; nil when that identity is not used.
    var django: DjangoTables?

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
struct ForeignModel: Hashable, Sendable {
    /// Who finds rows.
    enum Visibility: Hashable, Sendable {
        case anonymous
        /// Any logged-in caller.
        case authenticated
        /// The user whose id the column holds.
        case owner(column: String)
    }

    struct OrderTerm: Hashable, Sendable {
        let column: String
        let descending: Bool
    }

    /// A condition that every row found fulfils.
    struct FilterTerm: Hashable, Sendable {
        enum Value: Hashable, Sendable {
            case text(String)
            case integer(Int64)
            case real(Double)
        }

        let column: String
        /// Accepted values; NULL is accepted where `acceptsNull`.
        let values: [Value]
        let acceptsNull: Bool
    }

    /// What callers name it.
    let key: String
    let table: String
    /// Columns searched by `search_any`.
    let columns: [String]
    /// Shown as the row's name; its columns are what `search_projects` searches.
    let display: ColumnTemplate
    let url: ColumnTemplate
    /// Empty: by the primary key.
    let order: [OrderTerm]
    /// Columns that tell any two rows apart; empty: the primary key.
    let identity: [String]
    let filter: [FilterTerm]
    let visibility: Visibility

    /// The columns that a search looks at.
    func columns(_ searched: SearchColumns) -> [String] {
        switch searched {
        case .all: columns
        case .display: display.columns
        }
    }
}

/// A table that takes messages and answers.
struct ForeignMessageTable: Hashable, Sendable {
    let table: String
    let id: String
    let user: String
    let message: String
    let response: String
    let createdAt: String
    /// Whether one user's messages may be removed from it.
    let allowsDeleting: Bool
}

/// A Django site's tables.
struct DjangoTables: Hashable, Sendable {
    let sessions: String
    let users: String
    let id: String
    let username: String
    /// Nil where the site has no such column.
    let alias: String?
    let active: String
    let password: String
}
