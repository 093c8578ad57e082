package import Foundation
import GRDB
package import Store

extension ExternalSQLite {
    package func appendMessage(_ message: StoredMessage, userID: String) async throws {
        guard let table = tables.messages, let writer = try connections.writer(),
            let id = DjangoUser.userID(ofPrincipal: userID)
        else {
            throw StoreError(.unsupported, "database: no table takes this user's messages")
        }
        do {
            try await writer.write { db in
                try table.sqlite.insert(
                    message, user: Self.storedID(id), at: DjangoTimestamp.text(message.at).databaseValue, db)
            }
        } catch {
            throw SQLiteStore.translate(error)
        }
    }

    package func messages(
        userID: String, within bounds: MessagePageBounds, after: PagePosition?
    ) async throws -> MessagePage {
        guard let table = tables.messages, let id = DjangoUser.userID(ofPrincipal: userID) else {
            return MessagePage(messages: [], next: nil)
        }
        return try await read { db in
            try table.sqlite.page(user: Self.storedID(id), within: bounds, after: after, db) { value in
                // An exchange with an unreadable date is still returned.
                String.fromDatabaseValue(value).flatMap(DjangoTimestamp.date) ?? Date(timeIntervalSince1970: 0)
            }
        }
    }

    /// Does nothing: the site decides how long it keeps its messages.
    package func deleteMessages(before date: Date, limit: Int) async throws -> Int { 0 }

    package func deleteMessages(userID: String) async throws -> Int {
        guard let table = tables.messages, table.allowsDeleting, let writer = try connections.writer(),
            let id = DjangoUser.userID(ofPrincipal: userID)
        else {
            throw StoreError(
                .unsupported,
                "the messages of \(userID) are in a table of the external database; toolServer.messages.allowDelete is not set"
            )
        }
        do {
            return try await writer.write { db in try table.sqlite.delete(user: Self.storedID(id), db) }
        } catch {
            throw SQLiteStore.translate(error)
        }
    }
}

extension ExternalMessageTable {
    fileprivate var sqlite: SQLiteMessageTable {
        SQLiteMessageTable(
            name: "\(SQLIdentifier(table))", id: "\(SQLIdentifier(id))", user: "\(SQLIdentifier(user))",
            message: "\(SQLIdentifier(message))", response: "\(SQLIdentifier(response))",
            at: "\(SQLIdentifier(createdAt))")
    }
}
