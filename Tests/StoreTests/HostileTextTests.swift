import Foundation
import Testing
import ToolServerTestSupport

@testable import Store

/// Texts that try to be SQL, in every field that the store keeps.
@Suite struct HostileTextTests {
    @Test(arguments: Engine.allCases)
    func sqlInEveryFieldIsText(engine: Engine) async throws {
        let store = try await engine.store(projects: [("Urgent", "")])
        // A name with NUL is no name in either engine.
        for text in HostileTexts.sql where !text.contains("\0") {
            let account = try await store.insertAccount(username: text, alias: text, passwordHash: text, at: Date())
            #expect(try await store.account(named: text)?.alias == text)
            #expect(try await store.account(named: text + " ") == nil)
            try await store.appendMessage(
                StoredMessage(message: text, response: text, at: Date()), userID: text)
            #expect(try await store.messages(userID: text, limit: 5).map(\.message) == [text])
            #expect(try await store.messages(userID: text + "'", limit: 5).isEmpty)
            #expect(try await store.search(model: text, query: text, columns: .all, limit: 5) == nil)
            #expect(try await store.search(model: "projects", query: text, columns: .all, limit: 5) == [])
            try await store.putDocument(Document(title: text, url: text, body: text))
            #expect(try await store.documentTitles(limit: 50).last == SearchHit(name: text, url: text))
            _ = try await store.passages(matching: text, limit: 5)
            #expect(try await store.deleteAccount(id: account.id, userID: text)?.messages == 1)
        }
        #expect(try await store.column("SELECT name FROM project") == ["Urgent"])
        try await store.close()
    }
}
