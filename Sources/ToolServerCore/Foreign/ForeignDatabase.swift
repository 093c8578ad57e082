/// A database that belongs to somebody else: searched, asked about sessions, and given messages where configured.
package protocol ForeignDatabase: SearchRegistry, MessageStore, DjangoRecords {
    /// Throws when the database cannot answer a trivial query; the error says why.
    func checkHealth() async throws

    /// Releases the database. No call may follow.
    func close() async throws
}

/// Messages of the site's own users go to its table; everybody else's to ours.
struct DividedMessages: MessageStore {
    let foreign: any MessageStore
    let own: any MessageStore

    func appendMessage(_ message: StoredMessage, userID: String) async throws {
        try await store(of: userID).appendMessage(message, userID: userID)
    }

    func messages(userID: String, limit: Int) async throws -> [StoredMessage] {
        try await store(of: userID).messages(userID: userID, limit: limit)
    }

    private func store(of userID: String) -> any MessageStore {
        DjangoIdentity.userID(ofPrincipal: userID) == nil ? own : foreign
    }
}
