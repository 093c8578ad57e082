package import Foundation

/// An external database: searched, used to check sessions, and given messages where configured.
package protocol ExternalDatabase: SearchRegistry, StatementRunner, StatementWriter, MessageStore,
    DjangoRecords
{
    /// Checks that the database answers a trivial query; the error says why it does not.
    func checkHealth() async throws

    /// Closes the database. No call may follow.
    func close() async throws

    /// Returns the search of its models with the available indexes: the database's own, or those of the server's store.
    /// - Parameters:
    ///   - store: Store that keeps the server's own indexes.
    ///   - refresh: Time between two comparisons of those indexes with the tables; zero: they are never compared, and
    ///     an index is only used until the table changes.
    func indexedSearch(store: any Store, refresh: Duration) -> any SearchRegistry & SearchIndexing
}

extension ExternalDatabase where Self: SearchIndexing {
    /// Returns the database itself: it has indexes of its own.
    package func indexedSearch(store: any Store, refresh: Duration) -> any SearchRegistry & SearchIndexing { self }
}

/// Message store that writes the messages of the external site's users to its table, and all others to the server's
/// own.
package struct DividedMessages: MessageStore {
    /// Store of the messages of the site's users.
    package let external: any MessageStore
    let own: any MessageStore

    /// Creates a store that divides messages between two others.
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

    /// Removes messages only from the server's own table: the site decides how long it keeps its messages.
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
