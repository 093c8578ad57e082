import Foundation
import JSON
import JSONConfiguration
import Testing
import ToolServerTestSupport

@testable import Store

/// What holds for the external database whatever its engine is.
@Suite struct ExternalDatabaseTests {
    private func names(
        _ database: any ExternalDatabase, _ model: String, _ query: String, columns: SearchColumns = .all,
        viewer: String? = nil
    ) async throws -> [String] {
        try #require(
            await database.search(model: model, query: query, columns: columns, viewer: viewer, limit: 5)
        ).map(\.name)
    }

    @Test(arguments: Engine.allCases)
    func configuredTablesAreSearchedInTheOrderOfTheirKeys(engine: Engine) async throws {
        let site = try await engine.site()
        let database = try await site.opened()
        #expect(database.searchModels == ["projects", "tasks"])
        let hits = try await database.search(model: "projects", query: "URGENT", columns: .all, limit: 2)
        #expect(
            hits == [
                SearchHit(name: "Urgent Migration Q2", url: "/psm/project/1/"),
                SearchHit(name: "Urgent Audit Q2", url: "/psm/project/2/"),
            ])
        #expect(try await names(database, "projects", "planned", columns: .display).isEmpty)
        #expect(try await names(database, "projects", "planned").count == 5)
        for unknown in ["nope", "psm_task", "projects; --", "Projects", ""] {
            #expect(try await database.search(model: unknown, query: "x", columns: .all, limit: 5) == nil)
        }
    }

    @Test(arguments: Engine.allCases)
    func queriesAreLiteralAndFolded(engine: Engine) async throws {
        let site = try await engine.site()
        let database = try await site.opened()
        let examples: [(String, [String])] = [
            ("%", ["100% done_ok"]), ("_", ["100% done_ok"]),
            ("\" and \\", ["Quote \" and \\ backslash </script>"]), ("'; DROP TABLE psm_project; --", []),
            ("ŁÓDŹ", ["Żółta Łódź – naïve café"]), ("łódź", ["Żółta Łódź – naïve café"]), ("   ", []), ("\0", []),
            ("$1", []), (":needle", []), ("backslash", ["Quote \" and \\ backslash </script>"]),
        ]
        for (query, found) in examples {
            #expect(try await names(database, "projects", query) == found, "\(query)")
        }
    }

    @Test(arguments: Engine.allCases)
    func filterOrderDisplayAndURLAreAsConfigured(engine: Engine) async throws {
        let site = try await engine.site()
        try await site.change(
            """
            CREATE TABLE "odd ""name" (
                "the key" VARCHAR(20) PRIMARY KEY, "order" TEXT, state INTEGER, note TEXT, link TEXT, live BOOLEAN);
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
            return try await site.opened(models: ["odd": .object(model)]).search(
                model: "odd", query: "needle", columns: .display, limit: 5)
        }
        #expect(
            try await hits([:]) == [
                SearchHit(name: "Needle three (3)", url: "/x/c/"), SearchHit(name: "Needle two (2)", url: "/x/%C3%BC/"),
                SearchHit(name: "Needle one (1)", url: "/x/a%2Fb/"),
            ])
        #expect(try await hits(["filter": ["state": [1, 3]]])?.map(\.name) == ["Needle three (3)", "Needle one (1)"])
        #expect(try await hits(["filter": ["live": 1]])?.count == 2)
        #expect(try await hits(["filter": ["note": .null]])?.map(\.name) == ["Needle one (1)"])
        #expect(try await hits(["filter": ["note": ["x", .null], "state": 2]])?.map(\.name) == ["Needle two (2)"])
        #expect(try await hits(["filter": ["note": "' OR 1=1 --"]]) == [])
        #expect(
            try await hits(["url": "{link}"])?.map(\.url)
                == ["", "https://example.test/?q=2", "https://example.test/?q=1"])
        #expect(try await hits(["order": []])?.first?.url == "/x/a%2Fb/")
    }

    @Test(arguments: Engine.allCases)
    func visibilityIsEnforced(engine: Engine) async throws {
        let site = try await engine.site()
        try await site.change(
            """
            INSERT INTO ai_chatmessage (user_id, message, response, created_at) VALUES
                (1, 'secret of alice', 'r', '2026-01-01 00:00:00'), (2, 'secret of bob', 'r', '2026-01-01 00:00:00')
            """)
        let base: JSONObject = ["table": "ai_chatmessage", "columns": ["message"], "url": "/m/{id}/"]
        var owned = base
        owned["visibility"] = "owner"
        owned["owner"] = "user_id"
        var members = base
        members["visibility"] = "authenticated"
        let database = try await site.opened(models: ["owned": .object(owned), "members": .object(members)])
        #expect(try await names(database, "owned", "secret", viewer: "django:1") == ["secret of alice"])
        #expect(try await names(database, "owned", "secret", viewer: "django:2") == ["secret of bob"])
        #expect(try await names(database, "owned", "secret", viewer: "local:1").isEmpty)
        #expect(try await names(database, "owned", "secret", viewer: "django:1 OR 1=1").isEmpty)
        #expect(try await names(database, "members", "secret", viewer: "local:1").count == 2)
        for model in ["owned", "members"] {
            await #expect(throws: SearchError.notAuthenticated) {
                try await database.search(model: model, query: "secret", columns: .all, limit: 5)
            }
        }
    }

    @Test(
        arguments: Engine.allCases,
        [
            (#"{"a":{"table":"nope","columns":["name"],"url":"/"}}"#, "toolServer.search.models.a.table"),
            (#"{"a":{"table":"PSM_PROJECT","columns":["name"],"url":"/"}}"#, "there is psm_project"),
            (#"{"a":{"table":"psm_project","columns":["nme"],"url":"/"}}"#, "id, name, description"),
            (#"{"a":{"table":"psm_project","columns":["name"],"url":"/{pk}/"}}"#, "toolServer.search.models.a.url"),
            (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","display":"title"}}"#, "models.a.display"),
            (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","order":["-age"]}}"#, "models.a.order"),
            (
                #"{"a":{"table":"psm_project","columns":["name"],"url":"/","filter":{"x\" OR 1":1}}}"#,
                "models.a.filter"
            ),
            (
                #"{"a":{"table":"psm_project","columns":["name"],"url":"/","visibility":"owner","owner":"u"}}"#,
                "a.owner"
            ),
            (#"{"a":{"table":"psm_project; DROP TABLE x","columns":["name"],"url":"/"}}"#, "models.a.table"),
        ])
    func namesThatTheSchemaDoesNotHaveAreRefused(engine: Engine, example: (models: String, told: String)) async throws {
        let site = try await engine.site()
        let errors = await #expect(throws: ConfigurationErrors.self) {
            try await site.opened(models: JSONValue(parsing: example.models))
        }
        #expect(errors?.description.contains(example.told) == true, "\(errors?.description ?? "")")
    }

    @Test(
        arguments: Engine.allCases,
        [
            ("ALTER TABLE psm_task RENAME TO gone", "ALTER TABLE gone RENAME TO psm_task"),
            ("ALTER TABLE psm_task RENAME COLUMN notes TO gone", "ALTER TABLE psm_task RENAME COLUMN gone TO notes"),
        ])
    func whatDisappearsIsAnErrorUntilItIsBack(engine: Engine, example: (change: String, undo: String)) async throws {
        let site = try await engine.site()
        let database = try await site.opened()
        // Prepared statements and what is known of the schema are from before.
        #expect(try await names(database, "tasks", "task 1:").count == 1)
        try await site.change(example.change)
        let error = await #expect(throws: StoreError.self) { try await names(database, "tasks", "task 1:") }
        #expect(error?.description.contains("task 1:") == false, "\(error?.description ?? "")")
        #expect(try await names(database, "projects", "urgent").count == 5)
        try await site.change(example.undo)
        #expect(try await names(database, "tasks", "task 1:").count == 1)
    }
}
