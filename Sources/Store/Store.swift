package import Foundation

/// Everything the tool-server keeps: one value that serves all the narrow protocols below.
///
/// Parts of the server ask for the narrow protocol they need, so that an external database can later take over
/// search, identity or message storing one by one.
package protocol Store:
    AccountStore, LoginSessionStore, APIKeyStore, OAuthStore, MessageStore, SearchRegistry, SearchIndexing,
    StatementRunner,
    DocumentStore, DocumentReader
{
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

    /// The account with that primary key, active or not.
    func account(id: Int64) async throws -> Account?

    /// Replaces the stored hash and ends all of the account's login sessions, in one transaction.
    func updatePasswordHash(_ hash: String, accountID: Int64) async throws

    /// Says whether the account may log in; taking that away ends all of its login sessions in the same transaction.
    func setActive(_ isActive: Bool, accountID: Int64) async throws

    /// Removes an account with its login sessions, API keys and messages, all in one transaction.
    /// - Parameter userID: the principal id under which its messages are stored.
    /// - Returns: nil when there is no such account.
    func deleteAccount(id: Int64, userID: String) async throws -> DeletedUserData?
}

/// Login sessions, known by the SHA-256 digest of their token alone.
package protocol LoginSessionStore: Sendable {
    /// Stores a session of an account, unless that has become inactive or got another password since it was read.
    ///
    /// The check and the insertion are one transaction: a session opened with a password that is changed meanwhile
    /// would otherwise outlive the change.
    /// - Parameters:
    ///   - account: as it was when the password was checked.
    ///   - replacing: the digest of a session, of whichever account, that ends in the same transaction.
    /// - Returns: false when the account has changed; nothing is done then.
    func insertLoginSession(_ session: LoginSession, of account: Account, replacing: [UInt8]?) async throws -> Bool

    /// The active account whose session has that digest and has not expired at `now`.
    func account(sessionDigest: [UInt8], now: Date) async throws -> Account?

    /// The account's sessions that have not expired at `now`, newest first.
    func loginSessions(accountID: Int64, now: Date) async throws -> [LoginSession]

    /// Ends one session. Unknown digests are ignored.
    func deleteLoginSession(digest: [UInt8]) async throws

    /// Ends all sessions of an account; returns how many there were.
    @discardableResult
    func deleteLoginSessions(accountID: Int64) async throws -> Int

    /// Removes sessions that expired before `now`; returns how many.
    @discardableResult
    func deleteExpiredLoginSessions(now: Date) async throws -> Int
}

/// API keys, known by the SHA-256 digest of their text alone.
///
/// Revoked and expired keys stay, so that what a key was can still be looked up.
package protocol APIKeyStore: Sendable {
    /// Stores a key.
    /// - Throws: ``StoreError`` of kind `duplicate` when a key of that name has not been revoked.
    func insertAPIKey(_ key: APIKey) async throws

    /// The key with that digest, revoked and expired ones included.
    func apiKey(digest: [UInt8]) async throws -> APIKey?

    /// All keys in the order in which they were made.
    func apiKeys() async throws -> [APIKey]

    /// Revokes the key of that name which has not been revoked yet; false when there is none.
    func revokeAPIKey(named name: String, at: Date) async throws -> Bool

    /// Notes a use of a key, unless a later one is noted already. Unknown digests are ignored.
    func noteUse(ofAPIKey digest: [UInt8], at: Date) async throws
}

/// Store of users' messages and the answers to them.
package protocol MessageStore: Sendable {
    /// Appends one exchange to the user's history.
    func appendMessage(_ message: StoredMessage, userID: String) async throws

    /// Returns the user's exchanges, newest first, within the bounds of one page.
    /// - Parameter after: where the page before ended; nil for the latest ones.
    /// - Throws: ``SearchRefusal/invalidPosition`` for a position that no page of this store ends with.
    func messages(userID: String, within bounds: MessagePageBounds, after: PagePosition?) async throws -> MessagePage

    /// Removes exchanges of all users that are older than `date`, oldest first, at most `limit` in one transaction.
    /// - Returns: how many; fewer than `limit` when none is left.
    func deleteMessages(before date: Date, limit: Int) async throws -> Int

    /// Removes all exchanges of a user; returns how many.
    /// - Throws: ``StoreError`` of kind `unsupported` where messages may not be removed.
    func deleteMessages(userID: String) async throws -> Int
}

extension MessageStore {
    /// Returns the user's exchanges, newest first: at most `limit`, and no more bytes than a page holds by default.
    /// - Throws: ``StoreError``.
    package func messages(userID: String, limit: Int, after: PagePosition?) async throws -> MessagePage {
        try await messages(userID: userID, within: MessagePageBounds(rows: limit), after: after)
    }

    /// Returns the user's latest exchanges, newest first, at most `limit`.
    /// - Throws: ``StoreError``.
    package func messages(userID: String, limit: Int) async throws -> [StoredMessage] {
        try await messages(userID: userID, limit: limit, after: nil).messages
    }
}

/// Numbers of one user's removed rows.
package struct DeletedUserData: Hashable, Sendable {
    /// Login sessions.
    package var sessions: Int
    /// Stored exchanges.
    package var messages: Int
    /// API keys.
    package var keys: Int
    /// Permissions of OAuth clients.
    package var grants: Int

    /// Counts; see the properties.
    package init(sessions: Int = 0, messages: Int = 0, keys: Int = 0, grants: Int = 0) {
        self.sessions = sessions
        self.messages = messages
        self.keys = keys
        self.grants = grants
    }
}

/// The searchable models and how their rows are found.
package protocol SearchRegistry: Sendable {
    /// Keys of the models, in the order in which they are listed to callers.
    var searchModels: [String] { get }

    /// Rows of a model of which a column contains the query: a literal substring, compared after Unicode simple case
    /// folding, in the model's default order.
    ///
    /// Pages are stable: a row inserted or removed between two pages neither repeats nor hides another one. The search
    /// ends when the task is cancelled.
    ///
    /// - Returns: `nil` when no model has that key.
    /// - Throws: ``SearchRefusal``, or the database's error.
    func search(_ request: SearchRequest) async throws -> SearchPage?
}

extension SearchRegistry {
    /// The first rows, by default as an anonymous caller sees them.
    /// - Throws: ``SearchRefusal``, ``StoreError``.
    package func search(
        model: String, query: String, columns: SearchColumns, viewer: String? = nil, limit: Int
    ) async throws -> [SearchHit]? {
        try await search(
            SearchRequest(model: model, query: query, columns: columns, viewer: viewer, limit: limit))?.hits
    }
}

/// Why a search or a page is refused.
package enum SearchRefusal: Error, Hashable, Sendable {
    /// The model is for logged-in callers.
    case notAuthenticated
    /// The position is none that a page of this model ends with.
    case invalidPosition
    /// So many searches read whole tables now that another would keep the server from answering.
    case tooManyScans
}

/// Documents that answers are drawn from.
package protocol DocumentStore: Sendable {
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

    /// An account; see the properties.
    package init(id: Int64, username: String, alias: String, passwordHash: String, isActive: Bool) {
        self.id = id
        self.username = username
        self.alias = alias
        self.passwordHash = passwordHash
        self.isActive = isActive
    }
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

    /// A session; see the properties.
    package init(digest: [UInt8], accountID: Int64, createdAt: Date, expiresAt: Date) {
        self.digest = digest
        self.accountID = accountID
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

/// An API key as stored: never its text.
package struct APIKey: Hashable, Sendable {
    /// SHA-256 of the key's text.
    package let digest: [UInt8]
    /// Purpose, unique among the keys that have not been revoked; 1 to 150 characters.
    package let name: String
    /// The beginning of the key's text, for telling keys apart.
    package let hint: String
    /// Scopes in the order given; no scope holds a space. Stored separated by single spaces.
    package let scopes: [String]
    /// `Principal.id` of the user it acts for, such as `local:3`; nil for a key that acts for itself.
    package let userID: String?
    /// When it was made, to the millisecond.
    package let createdAt: Date
    /// From this instant on it is worth nothing; nil: never.
    package let expiresAt: Date?
    /// When it was revoked; nil: it was not.
    package let revokedAt: Date?
    /// About when it was used last; nil: never.
    package let lastUsedAt: Date?

    /// A key; see the properties.
    package init(
        digest: [UInt8], name: String, hint: String, scopes: [String] = [], userID: String? = nil, createdAt: Date,
        expiresAt: Date? = nil, revokedAt: Date? = nil, lastUsedAt: Date? = nil
    ) {
        self.digest = digest
        self.name = name
        self.hint = hint
        self.scopes = scopes
        self.userID = userID
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
    }
}

/// One exchange of a user's history.
package struct StoredMessage: Hashable, Sendable {
    /// Text of the user, verbatim.
    package let message: String
    /// Text of the answer, verbatim.
    package let response: String
    /// When, to the millisecond.
    package let at: Date
    /// Bytes of the texts as they are stored, where the page could not hold both whole; nil for a whole exchange.
    package let storedBytes: Lengths?

    /// Sizes of the two texts, in bytes of UTF-8.
    package struct Lengths: Hashable, Sendable {
        /// Bytes of the message.
        package let message: Int
        /// Bytes of the response.
        package let response: Int

        /// Sizes; see the properties.
        package init(message: Int, response: Int) {
            self.message = message
            self.response = response
        }
    }

    /// An exchange at an instant.
    package init(message: String, response: String, at: Date, storedBytes: Lengths? = nil) {
        self.message = message
        self.response = response
        self.at = at
        self.storedBytes = storedBytes
    }

    /// An exchange whose texts may have been cut while they were read: the beginnings that were read, and the lengths
    /// that are stored. A character that the cut went through is left out.
    package init(message: some Collection<UInt8>, response: some Collection<UInt8>, storedBytes: Lengths, at: Date) {
        let isCut = message.count < storedBytes.message || response.count < storedBytes.response
        self.init(
            message: Self.text(message, isCut: message.count < storedBytes.message),
            response: Self.text(response, isCut: response.count < storedBytes.response), at: at,
            storedBytes: isCut ? storedBytes : nil)
    }

    private static func text(_ bytes: some Collection<UInt8>, isCut: Bool) -> String {
        guard isCut else { return String(decoding: bytes, as: UTF8.self) }
        // At most three bytes of a character remain in front of the cut; they begin with its first byte.
        let tail = Array(bytes.suffix(3))
        var dropped = 0
        for (distance, byte) in tail.reversed().enumerated() where byte >= 0xC0 {
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            if distance + 1 < length { dropped = distance + 1 }
            break
        }
        return String(decoding: bytes.dropLast(dropped), as: UTF8.self)
    }
}

/// Which columns of a model a search looks at.
package enum SearchColumns: Hashable, Sendable {
    /// All columns that the model searches.
    case all
    /// The column shown as the row's name.
    case display
}

/// A found row.
package struct SearchHit: Hashable, Sendable {
    /// The display column.
    package let name: String
    /// URL of the row's page.
    package let url: String

    /// A found row with its name and URL.
    package init(name: String, url: String) {
        self.name = name
        self.url = url
    }
}

/// A document to store.
package struct Document: Hashable, Sendable {
    /// Heading, also searched and quoted.
    package let title: String
    /// URL of the page for people; empty to have one made from the id.
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

    /// A passage; see the properties.
    package init(title: String, url: String, text: String) {
        self.title = title
        self.url = url
        self.text = text
    }
}

/// A failure of the store, with a cause that callers can act on and no SQL.
package struct StoreError: Error, Hashable, CustomStringConvertible {
    /// Kind of error: a bounded set, for metrics.
    package enum Kind: String, Sendable {
        case duplicate, busy, full, readOnly, cannotOpen, unavailable, corrupt, newerSchema, unsupported, timeout
        case other
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
