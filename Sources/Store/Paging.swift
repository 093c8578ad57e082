/// A value as databases hold them, without an engine's own types.
package enum StoreValue: Hashable, Sendable {
    case null
    /// PostgreSQL's; SQLite has integers instead.
    case boolean(Bool)
    case integer(Int64)
    case real(Double)
    /// Whole, NUL included.
    case text(String)
    case blob([UInt8])
}

/// Position of a page's last row: the values that order rows.
///
/// Only the store that made a position reads it. It grants nothing: what a caller may see is decided anew for every
/// page.
package struct PagePosition: Hashable, Sendable {
    /// In the order of the statement's ORDER BY; together they belong to one row alone.
    package let values: [StoreValue]

    /// A position with those values.
    package init(_ values: [StoreValue]) {
        self.values = values
    }
}

/// One search.
package struct SearchRequest: Hashable, Sendable {
    /// Key of the model; keys are case-sensitive.
    package var model: String
    /// A literal substring.
    package var query: String
    /// Which of the model's columns are looked at.
    package var columns: SearchColumns
    /// The caller's principal id; nil for an anonymous caller.
    package var viewer: String?
    /// The most rows returned, from 1 on.
    package var limit: Int
    /// Position of the last row of the page before; nil for the first page.
    package var after: PagePosition?

    /// A search for the first rows, unless `after` says where to go on.
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

/// The rows that a search found.
package struct SearchPage: Hashable, Sendable {
    /// At most as many as asked for, in the model's default order.
    package let hits: [SearchHit]
    /// Position of the page's last row; nil when no row follows, or when the model's rows cannot be told apart (a view
    /// without a key) and so cannot be paged.
    package let next: PagePosition?

    /// A page; see the properties.
    package init(hits: [SearchHit], next: PagePosition?) {
        self.hits = hits
        self.next = next
    }
}

/// The most that one page of messages may hold.
package struct MessagePageBounds: Hashable, Sendable {
    /// Exchanges, from 1 on.
    package let rows: Int
    /// Bytes of UTF-8 of all messages and responses together, before the answer escapes them.
    package let bytes: Int
    /// True if an exchange larger than ``bytes`` is cut to it; otherwise it makes a page of its own, whole.
    package let cutsLongExchanges: Bool

    /// Bytes of a page unless configured. JSON may spend thirteen bytes on one of these (structured content and text
    /// both escape it), which stays below the 16 MiB that a gateway reads of one answer.
    package static let standardBytes = 1 << 20

    /// Bounds; see the properties.
    package init(rows: Int, bytes: Int = standardBytes, cutsLongExchanges: Bool = true) {
        self.rows = max(1, rows)
        self.bytes = max(2, bytes)
        self.cutsLongExchanges = cutsLongExchanges
    }

    /// More than one text of any of the engines holds, in numbers that both of them take.
    private static let longest = 1 << 30

    /// The least that a page leaves to each of an exchange's two texts; the one may take what the other does not need.
    package var half: Int { cutsLongExchanges ? bytes / 2 : Self.longest }
    /// Bytes that the two texts of one exchange share.
    package var exchange: Int { cutsLongExchanges ? bytes : Self.longest }
}

/// Stored messages, newest first.
package struct MessagePage: Hashable, Sendable {
    /// At most as many as asked for.
    package let messages: [StoredMessage]
    /// Position of the page's last message; nil when no older message follows.
    package let next: PagePosition?

    /// A page; see the properties.
    package init(messages: [StoredMessage], next: PagePosition?) {
        self.messages = messages
        self.next = next
    }
}
