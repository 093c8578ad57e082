package import Foundation

/// The tool-server's database, which implements all the protocols below.
///
/// Each part of the server uses only the protocol that it needs, so that an external database can replace search,
/// identity or message storage one by one.
package protocol Store:
    AccountStore, LoginSessionStore, APIKeyStore, OAuthStore, MessageStore, TokenUsageStore, SearchRegistry,
    SearchIndexing,
    StatementRunner, StatementWriter,
    DocumentStore, DocumentReader
{
    /// Checks that the database answers a trivial query; the error says why it does not.
    func checkHealth() async throws

    /// Closes the database. No call may follow.
    func close() async throws
}

/// Accounts of the built-in identity.
package protocol AccountStore: Sendable {
    /// Stores a new account.
    /// - Throws: ``StoreError`` of kind `duplicate` when the name is taken.
    func insertAccount(username: String, alias: String, passwordHash: String, at: Date) async throws -> Account

    /// Returns the account with exactly that name (names are case-sensitive), active or not.
    func account(named username: String) async throws -> Account?

    /// Returns the account with that primary key, active or not.
    func account(id: Int64) async throws -> Account?

    /// Replaces the stored hash and ends all of the account's login sessions, in one transaction.
    func updatePasswordHash(_ hash: String, accountID: Int64) async throws

    /// Enables or disables an account; disabling ends all of its login sessions in the same transaction.
    func setActive(_ isActive: Bool, accountID: Int64) async throws

    /// Removes an account with its login sessions, API keys and messages, all in one transaction.
    /// - Parameter userID: Identifier of the principal under which its messages are stored.
    /// - Returns: The numbers of deleted rows; nil when no account has that id.
    func deleteAccount(id: Int64, userID: String) async throws -> DeletedUserData?
}

/// Login sessions, stored only as the SHA-256 digest of their token.
package protocol LoginSessionStore: Sendable {
    /// Stores a session of an account, unless the account has been disabled or got another password since it was read.
    ///
    /// The check and the insertion are one transaction: otherwise a session opened while the password is changed would
    /// outlive the change.
    /// - Parameters:
    ///   - account: The account as it was when the password was checked.
    ///   - replacing: Digest of a session, of whichever account, that ends in the same transaction.
    /// - Returns: False when the account has changed; then nothing is stored.
    func insertLoginSession(_ session: LoginSession, of account: Account, replacing: [UInt8]?) async throws -> Bool

    /// Returns the active account whose session has that digest and has not expired at `now`.
    func account(sessionDigest: [UInt8], now: Date) async throws -> Account?

    /// Returns the account's sessions that have not expired at `now`, newest first.
    func loginSessions(accountID: Int64, now: Date) async throws -> [LoginSession]

    /// Ends one session. Unknown digests are ignored.
    func deleteLoginSession(digest: [UInt8]) async throws

    /// Ends all sessions of an account; returns their number.
    @discardableResult
    func deleteLoginSessions(accountID: Int64) async throws -> Int

    /// Removes sessions that expired before `now`; returns their number.
    @discardableResult
    func deleteExpiredLoginSessions(now: Date) async throws -> Int
}

/// API keys, stored only as the SHA-256 digest of their text.
///
/// Revoked and expired keys stay, so that their names, scopes and users can still be looked up.
package protocol APIKeyStore: Sendable {
    /// Stores a key.
    /// - Throws: ``StoreError`` of kind `duplicate` when a key of that name has not been revoked.
    func insertAPIKey(_ key: APIKey) async throws

    /// Returns the key with that digest, revoked and expired ones included.
    func apiKey(digest: [UInt8]) async throws -> APIKey?

    /// Returns all keys in order of creation.
    func apiKeys() async throws -> [APIKey]

    /// Revokes the key of that name which has not been revoked yet; false when there is none.
    func revokeAPIKey(named name: String, at: Date) async throws -> Bool

    /// Records a use of a key, unless a later one is recorded already. Unknown digests are ignored.
    func noteUse(ofAPIKey digest: [UInt8], at: Date) async throws
}

/// Store of users' messages and the answers to them.
package protocol MessageStore: Sendable {
    /// Appends one exchange to the user's history.
    func appendMessage(_ message: StoredMessage, userID: String) async throws

    /// Returns the user's exchanges, newest first, within the bounds of one page.
    /// - Parameter after: Position where the previous page ended; nil for the latest exchanges.
    /// - Throws: ``SearchError/invalidPosition`` for a position that no page of this store has.
    func messages(userID: String, within bounds: MessagePageBounds, after: PagePosition?) async throws -> MessagePage

    /// Removes exchanges of all users that are older than `date`, oldest first, at most `limit` in one transaction.
    /// - Returns: Their number; fewer than `limit` when none is left.
    func deleteMessages(before date: Date, limit: Int) async throws -> Int

    /// Removes all exchanges of a user; returns their number.
    /// - Throws: ``StoreError`` of kind `unsupported` where messages must not be removed.
    func deleteMessages(userID: String) async throws -> Int
}

extension MessageStore {
    /// Returns the user's exchanges, newest first: at most `limit`, and not more bytes than a page holds by default.
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
    /// Number of login sessions.
    package var sessions: Int
    /// Number of stored exchanges.
    package var messages: Int
    /// Number of API keys.
    package var keys: Int
    /// Number of OAuth clients' grants.
    package var grants: Int

    /// Creates counts.
    package init(sessions: Int = 0, messages: Int = 0, keys: Int = 0, grants: Int = 0) {
        self.sessions = sessions
        self.messages = messages
        self.keys = keys
        self.grants = grants
    }
}

/// The searchable models, and the search of their rows.
package protocol SearchRegistry: Sendable {
    /// Keys of the models, in the order in which they are listed to callers.
    var searchModels: [String] { get }

    /// Returns the rows of a model of which a column contains the query: a literal substring, compared after Unicode
    /// simple case folding, in the model's default order.
    ///
    /// Pages are stable: a row inserted or removed between two pages neither repeats nor hides another one. The search
    /// ends when the task is cancelled.
    ///
    /// - Returns: `nil` when no model has that key.
    /// - Throws: ``SearchError``, or the database's error.
    func search(_ request: SearchRequest) async throws -> SearchPage?
}

extension SearchRegistry {
    /// Returns the first rows, by default as an anonymous caller sees them.
    /// - Throws: ``SearchError``, ``StoreError``.
    package func search(
        model: String, query: String, columns: SearchColumns, viewer: String? = nil, limit: Int
    ) async throws -> [SearchHit]? {
        try await search(
            SearchRequest(model: model, query: query, columns: columns, viewer: viewer, limit: limit))?.hits
    }
}

/// Reason for refusing a search or a page.
package enum SearchError: Error, Hashable, Sendable {
    /// The model is only for authenticated callers.
    case notAuthenticated
    /// The position does not belong to a page of this model.
    case invalidPosition
    /// Too many searches are reading whole tables; another one would keep the server from answering.
    case tooManyScans
}

/// Documents from which answers are made.
package protocol DocumentStore: Sendable {
    /// Returns the passages that share words with the question, best first (BM25), at most `limit`.
    func passages(matching question: String, limit: Int) async throws -> [Passage]

    /// Returns the titles and URLs of all documents in id order, at most `limit`.
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
    /// False for a disabled account.
    package let isActive: Bool

    /// Creates an account.
    package init(id: Int64, username: String, alias: String, passwordHash: String, isActive: Bool) {
        self.id = id
        self.username = username
        self.alias = alias
        self.passwordHash = passwordHash
        self.isActive = isActive
    }
}

/// A login session as stored, without the token itself.
package struct LoginSession: Hashable, Sendable {
    /// SHA-256 of the token.
    package let digest: [UInt8]
    /// The account it belongs to.
    package let accountID: Int64
    /// Time of creation.
    package let createdAt: Date
    /// Time from which the session is invalid.
    package let expiresAt: Date

    /// Creates a session.
    package init(digest: [UInt8], accountID: Int64, createdAt: Date, expiresAt: Date) {
        self.digest = digest
        self.accountID = accountID
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

/// An API key as stored, without its text.
package struct APIKey: Hashable, Sendable {
    /// SHA-256 of the key's text.
    package let digest: [UInt8]
    /// Purpose, unique among the keys that have not been revoked; 1 to 150 characters.
    package let name: String
    /// Beginning of the key's text, for distinguishing keys.
    package let hint: String
    /// Scopes in the order given; none contains a space. Stored separated by single spaces.
    package let scopes: [String]
    /// `Principal.id` of the user for whom it acts, such as `local:3`; nil for a key that acts for itself.
    package let userID: String?
    /// Time of creation, to the millisecond.
    package let createdAt: Date
    /// Time from which the key is invalid; nil: it does not expire.
    package let expiresAt: Date?
    /// Time of revocation; nil: it has not been revoked.
    package let revokedAt: Date?
    /// Approximate time of the last use; nil: it has not been used.
    package let lastUsedAt: Date?

    /// Creates a key.
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
    /// Time of the exchange, to the millisecond.
    package let at: Date
    /// Sizes of the texts as they are stored, where the page could not hold both completely; nil for a complete
    /// exchange.
    package let storedBytes: Lengths?

    /// Sizes of the two texts, in bytes of UTF-8.
    package struct Lengths: Hashable, Sendable {
        /// Size of the message.
        package let message: Int
        /// Size of the response.
        package let response: Int

        /// Creates sizes.
        package init(message: Int, response: Int) {
            self.message = message
            self.response = response
        }
    }

    /// Creates an exchange at an instant.
    package init(message: String, response: String, at: Date, storedBytes: Lengths? = nil) {
        self.message = message
        self.response = response
        self.at = at
        self.storedBytes = storedBytes
    }

    /// Creates an exchange whose texts may have been cut while they were read: from the beginnings that were read, and
    /// the lengths that are stored. A character that was cut is left out.
    package init(message: some Collection<UInt8>, response: some Collection<UInt8>, storedBytes: Lengths, at: Date) {
        let isCut = message.count < storedBytes.message || response.count < storedBytes.response
        self.init(
            message: Self.text(message, isCut: message.count < storedBytes.message),
            response: Self.text(response, isCut: response.count < storedBytes.response), at: at,
            storedBytes: isCut ? storedBytes : nil)
    }

    private static func text(_ bytes: some Collection<UInt8>, isCut: Bool) -> String {
        guard isCut else { return String(decoding: bytes, as: UTF8.self) }
        // At most three bytes of a character remain before the cut; they begin with its first byte.
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

/// Columns of a model that a search compares.
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

    /// Creates a found row.
    package init(name: String, url: String) {
        self.name = name
        self.url = url
    }
}

/// A document to store.
package struct Document: Hashable, Sendable {
    /// Heading, also searched and quoted.
    package let title: String
    /// URL of the page for people; empty: it is made from the id.
    package let url: String
    /// Text; paragraphs are separated by blank lines.
    package let body: String

    /// Creates a document.
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

    /// Creates a passage.
    package init(title: String, url: String, text: String) {
        self.title = title
        self.url = url
        self.text = text
    }
}

/// An error of the store, without SQL, with a cause on which callers can act.
package struct StoreError: Error, Hashable, CustomStringConvertible {
    /// Kind of error: a bounded set, for metrics.
    package enum Kind: String, Sendable {
        case duplicate, busy, full, readOnly, cannotOpen, unavailable, corrupt, newerSchema, unsupported, timeout
        case other
    }

    /// Kind of the error.
    package let kind: Kind
    /// One line for people, which names the database where that helps.
    package let description: String

    /// Creates an error of a kind with its one-line explanation.
    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
