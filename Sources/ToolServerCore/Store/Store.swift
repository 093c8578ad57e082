package import Foundation

/// Everything the tool-server keeps: one value that serves all the narrow protocols below.
///
/// Parts of the server ask for the narrow protocol they need, so that a foreign database can later take over
/// search, identity or message storing one by one.
package protocol Store: AccountStore, LoginSessionStore, MessageStore, SearchRegistry, DocumentStore, DocumentReader {
    /// Throws when the database cannot answer a trivial query; the error says why.
    func checkHealth() async throws

    /// Releases the database. No call may follow.
    func close() async throws
}

/// Accounts of the built-in identity.
package protocol AccountStore: Sendable {
    /// Stores a new account.
    /// - Throws: ``StoreError`` of kind `duplicate` when the name is taken.
    func insertAccount(username: String, alias: String, passwordHash: String, at: Date) async throws -> Account

    /// The account with exactly that name (names are case-sensitive), active or not.
    func account(named username: String) async throws -> Account?

    /// Replaces the stored hash and ends all of the account's login sessions.
    func updatePasswordHash(_ hash: String, accountID: Int64) async throws
}

/// Login sessions, known by the SHA-256 digest of their token alone.
package protocol LoginSessionStore: Sendable {
    /// Stores a session; `replacing` names the digest of a session that ends in the same transaction.
    func insertLoginSession(_ session: LoginSession, replacing: [UInt8]?) async throws

    /// The active account whose session has that digest and has not expired at `now`.
    func account(sessionDigest: [UInt8], now: Date) async throws -> Account?

    /// Ends one session. Unknown digests are ignored.
    func deleteLoginSession(digest: [UInt8]) async throws

    /// Removes sessions that expired before `now`; returns how many.
    @discardableResult
    func deleteExpiredLoginSessions(now: Date) async throws -> Int
}

/// What users asked and what they were answered.
package protocol MessageStore: Sendable {
    /// Appends one exchange to the user's history.
    func appendMessage(_ message: StoredMessage, userID: String) async throws

    /// The user's latest exchanges, newest first, at most `limit`.
    func messages(userID: String, limit: Int) async throws -> [StoredMessage]
}

/// The searchable models and how their rows are found.
package protocol SearchRegistry: Sendable {
    /// Keys of the models, in the order in which they are listed to callers.
    var searchModels: [String] { get }

    /// Rows of a model of which a column contains `query`: a literal substring, compared after Unicode simple case
    /// folding, in the model's default order.
    ///
    /// - Parameters:
    ///   - columns: which of the model's columns are looked at.
    ///   - viewer: the caller's principal id; nil for an anonymous caller.
    ///   - limit: the most rows returned.
    /// - Returns: `nil` when no model has that key (keys are case-sensitive).
    /// - Throws: ``SearchRefusal``, or the database's error.
    func search(
        model: String, query: String, columns: SearchColumns, viewer: String?, limit: Int
    ) async throws -> [SearchHit]?
}

extension SearchRegistry {
    /// As an anonymous caller sees it.
    package func search(
        model: String, query: String, columns: SearchColumns, limit: Int
    ) async throws -> [SearchHit]? {
        try await search(model: model, query: query, columns: columns, viewer: nil, limit: limit)
    }
}

/// Why a caller may not search a model.
package enum SearchRefusal: Error, Hashable, Sendable {
    /// The model is for logged-in callers.
    case notAuthenticated
}

/// Documents that answers are drawn from.
package protocol DocumentStore: Sendable {
    /// Stores a document and indexes its passages. A document without a URL gets `/ai/document/ID/`.
    @discardableResult
    func insertDocument(_ document: Document) async throws -> Int64

    /// Passages that share words with the question, best first (BM25), at most `limit`.
    func passages(matching question: String, limit: Int) async throws -> [Passage]

    /// Titles and URLs of all documents in id order, at most `limit`.
    func documentTitles(limit: Int) async throws -> [SearchHit]
}

/// A row of the account table.
package struct Account: Hashable, Sendable {
    /// Primary key.
    package let id: Int64
    /// Login name, unique.
    package let username: String
    /// Name shown to others; may be empty.
    package let alias: String
    /// Encoded ``PasswordHash``.
    package let passwordHash: String
    /// False for an account that may not log in.
    package let isActive: Bool
}

/// A login session as stored: never the token itself.
package struct LoginSession: Hashable, Sendable {
    /// SHA-256 of the token.
    package let digest: [UInt8]
    /// The account it belongs to.
    package let accountID: Int64
    /// When it was opened.
    package let createdAt: Date
    /// From this instant on it is worth nothing.
    package let expiresAt: Date
}

/// One exchange of a user's history.
package struct StoredMessage: Hashable, Sendable {
    /// What the user wrote, verbatim.
    package let message: String
    /// What was answered, verbatim.
    package let response: String
    /// When, to the millisecond.
    package let at: Date

    /// An exchange at an instant.
    package init(message: String, response: String, at: Date) {
        self.message = message
        self.response = response
        self.at = at
    }
}

/// Which columns of a model a search looks at.
package enum SearchColumns: Sendable {
    /// All columns that the model searches.
    case all
    /// The column shown as the row's name.
    case display
}

/// A found row.
package struct SearchHit: Hashable, Sendable {
    /// The display column.
    package let name: String
    /// Where the row is seen.
    package let url: String
}

/// A document to store.
package struct Document: Hashable, Sendable {
    /// Heading, also searched and quoted.
    package let title: String
    /// Where people read it; empty to have one made from its id.
    package let url: String
    /// Text; paragraphs are separated by blank lines.
    package let body: String

    /// A document; see the properties.
    package init(title: String, url: String = "", body: String) {
        self.title = title
        self.url = url
        self.body = body
    }
}

/// A paragraph of a document that matched a question.
package struct Passage: Hashable, Sendable {
    /// The document's title.
    package let title: String
    /// The document's URL.
    package let url: String
    /// The paragraph.
    package let text: String
}

/// A failure of the store, with a cause that callers can act on and no SQL.
package struct StoreError: Error, Hashable, CustomStringConvertible {
    /// What went wrong, as a bounded set for metrics.
    package enum Kind: String, Sendable {
        case duplicate, busy, full, readOnly, cannotOpen, corrupt, newerSchema, unsupported, other
    }

    /// The class of failure.
    package let kind: Kind
    /// One line for people, naming the database where that helps.
    package let description: String

    /// An error of a kind with its one-line explanation.
    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
