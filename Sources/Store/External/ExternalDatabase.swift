package import Foundation

/// An external database: searched, asked about sessions, and given messages where configured.
package protocol ExternalDatabase: SearchRegistry, StatementRunner, MessageStore, DjangoRecords {
    /// Throws when the database cannot answer a trivial query; the error says why.
    func checkHealth() async throws

    /// Releases the database. No call may follow.
    func close() async throws

    /// The search of its models with the indexes that there are: its own, or ours beside it.
    /// - Parameters:
    ///   - store: where indexes of ours are kept.
    ///   - refresh: how often the indexes of ours are compared with the tables; zero: never, and an index is only used
    ///     while nothing was changed since.
    func indexedSearch(store: any Store, refresh: Duration) -> any SearchRegistry & SearchIndexing
}

extension ExternalDatabase where Self: SearchIndexing {
    /// The indexes are the database's own.
    package func indexedSearch(store: any Store, refresh: Duration) -> any SearchRegistry & SearchIndexing { self }
}

/// Messages of the site's own users go to its table; everybody else's to ours.
package struct DividedMessages: MessageStore {
    /// Store of the messages of the site's users.
    package let external: any MessageStore
    let own: any MessageStore

    /// Divides messages between two stores.
    package init(external: any MessageStore, own: any MessageStore) {
        self.external = external
        self.own = own
    }

    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        try await store(of: userID).appendMessage(message, userID: userID)
    }

    package func messages(
        userID: String, within bounds: MessagePageBounds, after: PagePosition?
    ) async throws -> MessagePage {
        try await store(of: userID).messages(userID: userID, within: bounds, after: after)
    }

    /// Ours alone: how long the site keeps its messages is the site's affair.
    package func deleteMessages(before date: Date, limit: Int) async throws -> Int {
        try await own.deleteMessages(before: date, limit: limit)
    }

    package func deleteMessages(userID: String) async throws -> Int {
        try await store(of: userID).deleteMessages(userID: userID)
    }

    private func store(of userID: String) -> any MessageStore {
        DjangoUser.userID(ofPrincipal: userID) == nil ? own : external
    }
}
