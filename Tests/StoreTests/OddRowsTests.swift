import Foundation
import GRDB
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import SQLiteStore
@testable import Store

/// Rows as nobody who keeps to the schema writes them: a restored file, another program, a slip of the hand.
@Suite struct OddRowsTests {
    /// A store whose tables take any type in any column, each with one row that has none of the right ones.
    private func store() async throws -> SQLiteStore {
        let store = try SQLiteStore(at: .memory)
        try await store.write { db in
            for table in ["login_session", "api_key", "document", "account"] {
                let columns = try db.columns(in: table).map(\.name)
                try db.execute(sql: "DROP TABLE \(table); CREATE TABLE \(table) (\(columns.joined(separator: ", ")))")
            }
            try db.execute(
                sql: """
                    INSERT INTO account VALUES ('one', 'ada', NULL, x'ff00', 'yes', 9e999);
                    INSERT INTO login_session VALUES (7, 1, 'never', 9223372036854775807);
                    INSERT INTO api_key VALUES (1, 'short', 4.5, NULL, x'c3', 8, x'00', 'soon', -9223372036854775808, 1e300);
                    INSERT INTO document VALUES (1, NULL, 4, x'68c3a9');
                    """)
        }
        return store
    }

    @Test func accountsAndSessionsOfOtherTypesAreRead() async throws {
        let store = try await store()
        let account = try #require(try await store.account(named: "ada"))
        #expect(account.alias.isEmpty)
        #expect(!account.isActive)
        let session = try #require(try await store.loginSessions(accountID: 1, now: Date()).first)
        #expect(session.digest.isEmpty)
        #expect(session.expiresAt > Date())
    }

    @Test func keysOfOtherTypesAreRead() async throws {
        let key = try #require(try await store().apiKeys().first)
        #expect(key.digest == Array("short".utf8))
        #expect(key.name == "4.5")
        #expect(key.userID == "8")
        #expect(key.expiresAt?.timestamp == "1970-01-01T00:00:00.000Z")
        #expect(key.revokedAt?.timestamp == "0001-01-01T00:00:00.000Z")
        #expect(key.lastUsedAt?.timestamp == "1970-01-01T00:00:00.000Z")
    }

    @Test func documentsOfOtherTypesAreRead() async throws {
        let store = try await store()
        #expect(try await store.document(id: 1)?.body == "hé")
        #expect(try await store.documents(after: 0, limit: 5).map(\.bytes) == [3])
        #expect(try await store.listDocuments().map(\.title) == [""])
        #expect(try await store.documentTitles(limit: 5).map(\.url) == ["4"])
    }

    @Test(arguments: Engine.allCases)
    func instantsAtTheEndsOfTheirTypeAreRead(engine: Engine) async throws {
        let store = try await engine.store()
        for (id, used) in [("early", "-9223372036854775808"), ("late", "9223372036854775807")] {
            try await store.change(
                "INSERT INTO oauth_client (id, metadata, created_at, used_at) VALUES ($1, '{}', 0, \(used))", .text(id))
            #expect(try await store.oauthClient(id: id, at: Date()) == "{}")
        }
    }

    @Test func aSchemaNumberBelowZeroIsRefused() async throws {
        let url = try await PostgreSQLServer.shared().urlOfNewSchema()
        let location = try PostgreSQLLocation(parsing: url)
        let store = try await PostgreSQLStore(at: location, settings: .test)
        try await store.change("UPDATE tool_server_schema SET version = -version")
        await #expect(throws: StoreError.self) { try await PostgreSQLStore(at: location, settings: .test) }
    }
}
