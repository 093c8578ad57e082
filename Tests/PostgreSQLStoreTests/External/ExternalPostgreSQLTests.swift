import Foundation
import JSON
import JSONConfiguration
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import PostgreSQLStore
@testable import Store

@Suite struct ExternalPostgreSQLTests {
    private func names(
        _ database: ExternalPostgreSQL, _ model: String, _ query: String, columns: SearchColumns = .all,
        viewer: String? = nil
    ) async throws -> [String] {
        try #require(
            await database.search(model: model, query: query, columns: columns, viewer: viewer, limit: 5)
        ).map(\.name)
    }

    // MARK: Search

    @Test func queriesAreLiteralAndFoldedWithAnIndexAndWithout() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open()
        let examples: [(String, [String])] = [
            ("%", ["100% done_ok"]), ("_", ["100% done_ok"]),
            ("\" and \\", ["Quote \" and \\ backslash </script>"]), ("'; DROP TABLE psm_project; --", []),
            ("ŁÓDŹ", ["Żółta Łódź – naïve café"]), ("łódź", ["Żółta Łódź – naïve café"]), ("   ", []), ("\0", []),
            ("backslash", ["Quote \" and \\ backslash </script>"]),
        ]
        for (query, found) in examples {
            #expect(try await names(database, "projects", query) == found, "\(query)")
        }
        #expect(try await database.searchIndexes().map(\.state) == [.missing, .missing])
        _ = try await database.updateSearchIndex(model: "projects") { _ in }
        #expect(try await database.searchIndexes().map(\.state) == [.maintained, .missing])
        for (query, found) in examples {
            #expect(try await names(database, "projects", query) == found, "\(query)")
        }
        try await legacy.change("UPDATE psm_project SET name = 'Renamed backslash' WHERE id = 1")
        #expect(try await names(database, "projects", "BACKSLASH").first == "Renamed backslash")
    }

    @Test func nothingIsWrittenButMessages() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open()
        await #expect(throws: StoreError.self) {
            try await database.read { connection in _ = try connection.execute("DELETE FROM psm_project") }
        }
        let shape = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY 1"
        let before = try await legacy.rows(shape)
        _ = try await names(database, "projects", "urgent")
        #expect(try await legacy.rows(shape) == before)
    }

    @Test func pagesGoOnWhereTheLastOneEnded() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open(models: [
            "tasks": [
                "table": "psm_task", "columns": ["title"], "url": "/{id}", "order": ["-project_id", "title"],
            ]
        ])
        let expected = try await legacy.rows(
            "SELECT id FROM psm_task WHERE title ILIKE '%task%' ORDER BY project_id DESC, title, id")
        var found: [String?] = []
        var position: PagePosition?
        repeat {
            let page = try #require(
                try await database.search(
                    SearchRequest(model: "tasks", query: "TASK", columns: .all, limit: 7, after: position)))
            found += page.hits.map { String($0.url.dropFirst()) }
            position = page.next
        } while position != nil
        #expect(found == expected.map { $0[0] })
        #expect(found.count > 7)
    }

    @Test func theSystemsOwnTablesAreNotThere() async throws {
        let legacy = try await LegacyPostgreSQL()
        let errors = await #expect(throws: ConfigurationErrors.self) {
            try await legacy.open(models: ["a": ["table": "pg_authid", "columns": ["rolname"], "url": "/"]])
        }
        #expect(errors?.description.contains("models.a.table") == true, "\(errors?.description ?? "")")
    }

    // MARK: The site

    @Test func theSitesSessionsAndUsersAreKnown() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open()
        let identity = DjangoIdentity(
            records: database, signing: DjangoSigning(secretKey: LegacyDatabase.secretKey, fallbacks: []),
            now: { LegacyDatabase.now })
        func identify(_ cookie: String) async throws -> Principal? {
            let credentials = PresentedCredentials(cookieHeaders: ["sessionid=" + cookie])
            guard case .principal(let principal) = try await identity.identify(credentials) else { return nil }
            return principal
        }
        let alice = try await identify(LegacyDatabase.alice)
        #expect(alice?.id == "django:1")
        #expect(alice?.attributes == ["alias": "Ally"])
        #expect(try await identify(LegacyDatabase.expired) == nil)
        #expect(try await identify("'; DROP TABLE django_session; --") == nil)
        #expect(try await database.djangoUserID(named: "bob") == "2")
        #expect(try await database.djangoUserID(named: "a\0") == nil)
        for id in ["x", "99999999999999999999", "1 OR 1=1", "\0", "3"] {
            #expect(try await database.djangoUser(id: id) == nil, "\(id)")
        }
        try await legacy.change("UPDATE ai_user SET is_active = false WHERE id = 1")
        #expect(try await identify(LegacyDatabase.alice) == nil)
        #expect(try await identify(LegacyDatabase.bob)?.name == "bob")
    }

    @Test func messagesAreStoredAsTheSiteStoresThemAndReadBack() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open(["messages": ["table": "ai_chatmessage", "allowDelete": true]])
        for (text, user, seconds) in [("first", 1, 0.0), ("a ü 🚀", 1, 0.25), ("bob's", 2, 1)] {
            try await database.appendMessage(
                StoredMessage(
                    message: text, response: "Echo: " + text, at: Date(timeIntervalSince1970: 1_800_000_000 + seconds)),
                userID: "django:\(user)")
        }
        let rows = try await legacy.rows(
            "SELECT user_id, message, created_at AT TIME ZONE 'UTC' FROM ai_chatmessage ORDER BY id")
        #expect(
            rows == [
                ["1", "first", "2027-01-15 08:00:00"], ["1", "a ü 🚀", "2027-01-15 08:00:00.25"],
                ["2", "bob's", "2027-01-15 08:00:01"],
            ])
        let history = try await database.messages(userID: "django:1", limit: 50)
        #expect(history.map(\.message) == ["a ü 🚀", "first"])
        #expect(history.map(\.at.timeIntervalSince1970) == [1_800_000_000.25, 1_800_000_000])
        let page = try await database.messages(userID: "django:1", limit: 1, after: nil)
        #expect(try await database.messages(userID: "django:1", limit: 5, after: page.next).messages.count == 1)
        await #expect(throws: StoreError.self) {
            try await database.appendMessage(
                StoredMessage(message: "x", response: "", at: Date()), userID: "django:99")
        }
        #expect(try await legacy.rows("SELECT count(*) FROM ai_chatmessage") == [["3"]])
        #expect(try await database.deleteMessages(userID: "django:1") == 2)
        #expect(try await database.messages(userID: "django:2", limit: 5).count == 1)
    }
}
