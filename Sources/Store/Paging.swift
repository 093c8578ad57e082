/// A value of a database column, independent of the engine.
package enum StoreValue: Hashable, Sendable {
    case null
    /// A boolean of PostgreSQL; SQLite has integers instead.
    case boolean(Bool)
    case integer(Int64)
    case real(Double)
    /// A complete text, NUL included.
    case text(String)
    case blob([UInt8])
}

/// Position of a page's last row: the values that order rows.
///
/// Only the store that made a position reads it. It does not grant access: access is checked again for every page.
package struct PagePosition: Hashable, Sendable {
    /// Values in the order of the statement's ORDER BY; together they identify one row.
    package let values: [StoreValue]

    /// Creates a position with those values.
    package init(_ values: [StoreValue]) {
        self.values = values
    }
}

/// One search.
package struct SearchRequest: Hashable, Sendable {
    /// Key of the model; keys are case-sensitive.
    package var model: String
    /// Literal substring to search for.
    package var query: String
    /// Columns of the model that are compared.
    package var columns: SearchColumns
    /// Identifier of the caller's principal; nil for an anonymous caller.
    package var viewer: String?
    /// Largest number of rows, at least 1.
    package var limit: Int
    /// Position of the last row of the page before; nil for the first page.
    package var after: PagePosition?

    /// Creates a search for the first rows, or for those after a position.
    package init(
        model: String, query: String, columns: SearchColumns, viewer: String? = nil, limit: Int,
        after: PagePosition? = nil
    ) {
        self.model = model
        self.query = query
        self.columns = columns
        self.viewer = viewer
        self.limit = limit
        self.after = after
    }
}

/// Rows that a search found.
package struct SearchPage: Hashable, Sendable {
    /// Rows in the model's default order, at most as many as requested.
    package let hits: [SearchHit]
    /// Position of the page's last row; nil when no row follows, or when the model's rows cannot be identified (a view
    /// without a key) and therefore not be paged.
    package let next: PagePosition?

    /// Creates a page.
    package init(hits: [SearchHit], next: PagePosition?) {
        self.hits = hits
        self.next = next
    }
}

/// Limits of one page of messages.
package struct MessagePageBounds: Hashable, Sendable {
    /// Largest number of exchanges, at least 1.
    package let rows: Int
    /// Largest size of all messages and responses together, in bytes of UTF-8, before JSON escapes them.
    package let bytes: Int
    /// True if an exchange larger than ``bytes`` is cut to it; otherwise it is a page of its own, uncut.
    package let cutsLongExchanges: Bool

    /// Default size of a page, in bytes. JSON may need thirteen bytes for one of these (structured content and text
    /// both escape it), which stays below the 16 MiB that a gateway reads of one response.
    package static let standardBytes = 1 << 20

    /// Creates bounds.
    package init(rows: Int, bytes: Int = standardBytes, cutsLongExchanges: Bool = true) {
        self.rows = max(1, rows)
        self.bytes = max(2, bytes)
        self.cutsLongExchanges = cutsLongExchanges
    }

    /// Larger than any text that an engine can store, and valid as a number in both.
    private static let longest = 1 << 30

    /// Smallest share of a page for each of an exchange's two texts; either may also use what the other does not need.
    package var half: Int { cutsLongExchanges ? bytes / 2 : Self.longest }
    /// Size that the two texts of one exchange share, in bytes.
    package var exchange: Int { cutsLongExchanges ? bytes : Self.longest }
}

/// Stored messages, newest first.
package struct MessagePage: Hashable, Sendable {
    /// Messages, newest first, at most as many as requested.
    package let messages: [StoredMessage]
    /// Position of the page's last message; nil when no older message follows.
    package let next: PagePosition?

    /// Creates a page.
    package init(messages: [StoredMessage], next: PagePosition?) {
        self.messages = messages
        self.next = next
    }
}
