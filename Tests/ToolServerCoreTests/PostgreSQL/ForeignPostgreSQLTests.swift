import Configuration
import Foundation
import JSON
import Logging
import MCPServer
import TestSupport
import Testing

@testable import ToolServerCore

@Suite struct ForeignPostgreSQLTests {
    private func names(
        _ database: ForeignPostgreSQL, _ model: String, _ query: String, columns: SearchColumns = .all,
        viewer: String? = nil
    ) async throws -> [String] {
        try #require(
            await database.search(model: model, query: query, columns: columns, viewer: viewer, limit: 5)
        ).map(\.name)
    }

    // MARK: Search

    @Test func configuredTablesAreSearchedInTheOrderOfTheirKeys() async throws {
        let database = try await LegacyPostgreSQL().open()
        #expect(database.searchModels == ["projects", "tasks"])
        let hits = try await database.search(model: "projects", query: "URGENT", columns: .all, limit: 2)
        #expect(
            hits == [
                SearchHit(name: "Urgent Migration Q2", url: "/psm/project/1/"),
                SearchHit(name: "Urgent Audit Q2", url: "/psm/project/2/"),
            ])
        #expect(try await names(database, "projects", "planned", columns: .display).isEmpty)
        #expect(try await names(database, "projects", "planned").count == 5)
        #expect(try await database.search(model: "nope", query: "x", columns: .all, limit: 5) == nil)
        #expect(try await database.search(model: "psm_task", query: "x", columns: .all, limit: 5) == nil)
    }

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

    @Test func filterOrderDisplayAndURLAreAsConfigured() async throws {
        let legacy = try await LegacyPostgreSQL()
        try await legacy.change(
            """
            CREATE TABLE "odd ""name" (
                "the key" text PRIMARY KEY, "order" text, state int, note text, link text, live boolean);
            INSERT INTO "odd ""name" VALUES
                ('a/b', 'Needle one', 1, NULL, 'https://example.test/?q=1', true),
                ('ü', 'Needle two', 2, 'x', 'https://example.test/?q=2', false),
                ('c', 'Needle three', 3, 'y', NULL, true);
            """)
        func hits(_ changes: JSONObject) async throws -> [SearchHit]? {
            var model: JSONObject = [
                "table": "odd \"name", "columns": ["order"], "display": "{order} ({state})", "url": "/x/{the key}/",
                "order": ["-state"],
            ]
            for (key, value) in changes { model[key] = value }
            return try await legacy.open(models: ["odd": .object(model)]).search(
                model: "odd", query: "needle", columns: .display, limit: 5)
        }
        #expect(try await hits(["columns": ["order"], "display": "order"])?.count == 3)
        #expect(
            try await hits(["display": "order"]) == [
                SearchHit(name: "Needle three", url: "/x/c/"), SearchHit(name: "Needle two", url: "/x/%C3%BC/"),
                SearchHit(name: "Needle one", url: "/x/a%2Fb/"),
            ])
        #expect(try await hits(["filter": ["state": [1, 3]]])?.map(\.name) == ["Needle three (3)", "Needle one (1)"])
        #expect(try await hits(["filter": ["live": 1]])?.count == 2)
        #expect(try await hits(["filter": ["note": .null]])?.map(\.name) == ["Needle one (1)"])
        #expect(try await hits(["filter": ["note": ["x", .null], "state": 2]])?.map(\.name) == ["Needle two (2)"])
        #expect(try await hits(["filter": ["note": "' OR 1=1 --"]]) == [])
        #expect(
            try await hits(["url": "{link}"])?.map(\.url)
                == ["", "https://example.test/?q=2", "https://example.test/?q=1"])
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

    @Test func visibilityIsEnforced() async throws {
        let legacy = try await LegacyPostgreSQL()
        try await legacy.change(
            """
            INSERT INTO ai_chatmessage (user_id, message, response, created_at) VALUES
                (1, 'secret of alice', 'r', now()), (2, 'secret of bob', 'r', now())
            """)
        let base: JSONObject = ["table": "ai_chatmessage", "columns": ["message"], "url": "/m/{id}/"]
        var owned = base
        owned["visibility"] = "owner"
        owned["owner"] = "user_id"
        var members = base
        members["visibility"] = "authenticated"
        let database = try await legacy.open(models: ["owned": .object(owned), "members": .object(members)])
        #expect(try await names(database, "owned", "secret", viewer: "django:1") == ["secret of alice"])
        #expect(try await names(database, "owned", "secret", viewer: "local:1").isEmpty)
        #expect(try await names(database, "owned", "secret", viewer: "django:1 OR 1=1").isEmpty)
        #expect(try await names(database, "members", "secret", viewer: "local:1").count == 2)
        for model in ["owned", "members"] {
            await #expect(throws: SearchRefusal.notAuthenticated) {
                try await database.search(model: model, query: "secret", columns: .all, limit: 5)
            }
        }
    }

    @Test(arguments: [
        (#"{"a":{"table":"nope","columns":["name"],"url":"/"}}"#, "toolServer.search.models.a.table"),
        (#"{"a":{"table":"psm_project","columns":["nme"],"url":"/"}}"#, "id, name, description"),
        (#"{"a":{"table":"psm_project; DROP TABLE x","columns":["name"],"url":"/"}}"#, "models.a.table"),
        (#"{"a":{"table":"pg_authid","columns":["rolname"],"url":"/"}}"#, "models.a.table"),
    ])
    func namesThatTheSchemaDoesNotHaveAreRefused(models: String, told: String) async throws {
        let legacy = try await LegacyPostgreSQL()
        let errors = await #expect(throws: ConfigurationErrors.self) {
            try await legacy.open(models: JSONValue(parsing: models))
        }
        #expect(errors?.description.contains(told) == true, "\(errors?.description ?? "")")
    }

    @Test func aTableThatDisappearsIsAClearError() async throws {
        let legacy = try await LegacyPostgreSQL()
        let database = try await legacy.open()
        try await legacy.change("DROP TABLE psm_task")
        let error = await #expect(throws: StoreError.self) { try await names(database, "tasks", "urgent") }
        #expect(error?.description.contains("psm_task") == true)
        #expect(try await names(database, "projects", "urgent").count == 5)
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

    @Test func aWholeToolServerWorksOnTheForeignDatabase() async throws {
        let legacy = try await LegacyPostgreSQL()
        let configuration = try legacy.configuration()
        let server = try buildToolServer(
            configuration: configuration, foreign: await configuration.openForeign(), provider: EchoProvider(),
            hasher: .test(), logger: Logger(label: "test"), now: { LegacyDatabase.now })
        let credentials = PresentedCredentials(cookieHeaders: ["sessionid=" + LegacyDatabase.alice])
        guard case .principal(let alice) = try await server.identity.identify(credentials) else {
            Issue.record("alice is not known")
            return
        }
        _ = try await server.server.call(tool: "chat", arguments: ["message": "hello"], principal: alice)
        let history = try await server.server.call(tool: "chat_history", arguments: [:], principal: alice)
        #expect(
            history.structuredContent == [
                "results": [["message": "hello", "response": "Echo: hello", "at": "2027-01-15T08:00:00.000Z"]]
            ])
        let found = try await server.server.call(
            tool: "search_any", arguments: ["model": "projects", "query": "urgent audit"], principal: nil)
        #expect(found.structuredContent?["results"]?.array?.first?["url"] == "/psm/project/2/")
        await server.shutdown()
    }
}
