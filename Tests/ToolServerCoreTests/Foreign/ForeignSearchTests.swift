import Configuration
import Foundation
import GRDB
import JSON
import Testing

@testable import ToolServerCore

@Suite struct ForeignSearchTests {
    private func names(
        _ database: ForeignSQLite, _ model: String, _ query: String, columns: SearchColumns = .all,
        viewer: String? = nil
    ) async throws -> [String] {
        try #require(
            await database.search(model: model, query: query, columns: columns, viewer: viewer, limit: 5)
        ).map(\.name)
    }

    @Test func configuredTablesAreSearchedInTheOrderOfTheirKeys() async throws {
        let legacy = try LegacyDatabase()
        let database = try legacy.open()
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

    @Test(arguments: [
        ("%", ["100% done_ok"]), ("_", ["100% done_ok"]), ("\" and \\", ["Quote \" and \\ backslash </script>"]),
        ("'; DROP TABLE psm_project; --", []), ("ŁÓDŹ", ["Żółta Łódź – naïve café"]),
        ("łódź", ["Żółta Łódź – naïve café"]),
        ("   ", []), ("\0", []),
    ])
    func queriesAreLiteralAndFolded(query: String, found: [String]) async throws {
        let legacy = try LegacyDatabase()
        #expect(try await names(legacy.open(), "projects", query) == found)
    }

    @Test func readingLeavesTheDatabaseAsItWas() async throws {
        let legacy = try LegacyDatabase()
        let before = try legacy.shape()
        let bytes = FileManager.default.contents(atPath: legacy.path)
        let database = try legacy.open(["messages": [:]])
        _ = try await names(database, "projects", "urgent")
        await #expect(throws: (any Error).self) {
            try await database.read { db in try db.execute(sql: "DELETE FROM psm_project") }
        }
        try await database.close()
        #expect(FileManager.default.contents(atPath: legacy.path) == bytes)
        #expect(try legacy.shape() == before)
        #expect(before.first == "delete")
    }

    @Test func filterOrderDisplayAndURLAreAsConfigured() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE "odd ""name" (
                        "the key" TEXT PRIMARY KEY, "order" TEXT, state INTEGER, note TEXT, link TEXT);
                    INSERT INTO "odd ""name" VALUES
                        ('a/b', 'Needle one', 1, NULL, 'https://example.test/?q=1'),
                        ('ü', 'Needle two', 2, 'x', 'https://example.test/?q=2'),
                        ('c', 'Needle three', 3, 'y', NULL);
                    """)
        }
        func model(_ changes: JSONObject) -> JSONValue {
            var model: JSONObject = [
                "table": "odd \"name", "columns": ["order"], "display": "{order} ({state})", "url": "/x/{the key}/",
                "order": ["-state"],
            ]
            for (key, value) in changes { model[key] = value }
            return ["odd": .object(model)]
        }
        func hits(_ changes: JSONObject) async throws -> [SearchHit]? {
            try await legacy.open(models: model(changes)).search(
                model: "odd", query: "needle", columns: .display, limit: 5)
        }
        #expect(
            try await hits([:]) == [
                SearchHit(name: "Needle three (3)", url: "/x/c/"), SearchHit(name: "Needle two (2)", url: "/x/%C3%BC/"),
                SearchHit(name: "Needle one (1)", url: "/x/a%2Fb/"),
            ])
        #expect(try await hits(["filter": ["state": [1, 3]]])?.map(\.name) == ["Needle three (3)", "Needle one (1)"])
        #expect(try await hits(["filter": ["note": .null]])?.map(\.name) == ["Needle one (1)"])
        #expect(try await hits(["filter": ["note": ["x", .null], "state": 2]])?.map(\.name) == ["Needle two (2)"])
        #expect(try await hits(["filter": ["note": "' OR 1=1 --"]]) == [])
        #expect(
            try await hits(["url": "{link}"])?.map(\.url)
                == ["", "https://example.test/?q=2", "https://example.test/?q=1"])
        #expect(try await hits(["order": []])?.first?.url == "/x/a%2Fb/")
    }

    @Test func visibilityIsEnforced() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            try db.execute(
                sql: """
                    INSERT INTO ai_chatmessage (user_id, message, response, created_at) VALUES
                        (1, 'secret of alice', 'r', '2026-01-01 00:00:00'), (2, 'secret of bob', 'r', '2026-01-01 00:00:00')
                    """)
        }
        let base: JSONObject = ["table": "ai_chatmessage", "columns": ["message"], "url": "/m/{id}/"]
        var owned = base
        owned["visibility"] = "owner"
        owned["owner"] = "user_id"
        var members = base
        members["visibility"] = "authenticated"
        let database = try legacy.open(models: ["owned": .object(owned), "members": .object(members)])
        #expect(try await names(database, "owned", "secret", viewer: "django:1") == ["secret of alice"])
        #expect(try await names(database, "owned", "secret", viewer: "django:2") == ["secret of bob"])
        #expect(try await names(database, "owned", "secret", viewer: "local:1").isEmpty)
        #expect(try await names(database, "owned", "secret", viewer: "django:1 OR 1=1").isEmpty)
        #expect(try await names(database, "members", "secret", viewer: "local:1").count == 2)
        for model in ["owned", "members"] {
            await #expect(throws: SearchRefusal.notAuthenticated) {
                try await database.search(model: model, query: "secret", columns: .all, limit: 5)
            }
        }
    }

    @Test func aViewAndAWriteAheadLogAreReadAsWell() async throws {
        let legacy = try LegacyDatabase()
        let site = try DatabasePool(path: legacy.path)
        try await site.write { db in
            try db.execute(sql: "CREATE VIEW upper_task AS SELECT id, upper(title) AS title FROM psm_task")
        }
        let database = try legacy.open(models: [
            "tasks": ["table": "upper_task", "columns": ["title"], "url": "/{id}", "order": ["-id"]]
        ])
        #expect(try await names(database, "tasks", "task 1:") == ["TASK 1: AUDIT CHECKLIST"])
        try await site.write { db in try db.execute(sql: "UPDATE psm_task SET title = 'changed' WHERE id = 1") }
        #expect(try await names(database, "tasks", "changed") == ["CHANGED"])
        #expect(try legacy.shape().first == "wal")
    }

    // MARK: What does not fit

    @Test(arguments: [
        (#"{"a":{"table":"nope","columns":["name"],"url":"/"}}"#, "toolServer.search.models.a.table"),
        (#"{"a":{"table":"PSM_PROJECT","columns":["name"],"url":"/"}}"#, "there is psm_project"),
        (#"{"a":{"table":"psm_project","columns":["nme"],"url":"/"}}"#, "id, name, description"),
        (#"{"a":{"table":"psm_project","columns":["name"],"url":"/{pk}/"}}"#, "toolServer.search.models.a.url"),
        (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","display":"title"}}"#, "models.a.display"),
        (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","order":["-age"]}}"#, "models.a.order"),
        (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","filter":{"x\" OR 1":1}}}"#, "models.a.filter"),
        (#"{"a":{"table":"psm_project","columns":["name"],"url":"/","visibility":"owner","owner":"u"}}"#, "a.owner"),
        (#"{"a":{"table":"psm_project; DROP TABLE x","columns":["name"],"url":"/"}}"#, "models.a.table"),
    ])
    func namesThatTheSchemaDoesNotHaveAreRefused(models: String, told: String) throws {
        let legacy = try LegacyDatabase()
        let errors = #expect(throws: ConfigurationErrors.self) {
            try legacy.open(models: JSONValue(parsing: models))
        }
        #expect(errors?.description.contains(told) == true, "\(errors?.description ?? "")")
    }

    @Test(arguments: [
        (#"{"a":{"columns":["name"],"url":"/"}}"#, "toolServer.search.models.a.table"),
        (#"{"a":{"table":"t","url":"/"}}"#, "toolServer.search.models.a.columns"),
        (#"{"a":{"table":"t","columns":["name"]}}"#, "toolServer.search.models.a.url"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/{id"}}"#, "toolServer.search.models.a.url"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/","filter":{"a":{"b":1}}}}"#, "search.models.a.filter"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/","filter":{"a":[]}}}"#, "toolServer.search.models.a.filter"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/","visibility":"owner"}}"#, "toolServer.search.models.a.owner"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/","visibility":"some"}}"#, "search.models.a.visibility"),
        (#"{"a":{"table":"t","columns":["name"],"url":"/","colums":[]}}"#, "toolServer.search.models.a.colums"),
    ])
    func modelsThatMakeNoSenseAreRefusedWithoutADatabase(models: String, path: String) throws {
        let legacy = try LegacyDatabase()
        let errors = #expect(throws: ConfigurationErrors.self) {
            try legacy.configuration(models: JSONValue(parsing: models))
        }
        #expect(errors?.description.contains(path) == true, "\(errors?.description ?? "")")
    }

    @Test func aTableThatDisappearsIsAnErrorUntilItIsBack() async throws {
        let legacy = try LegacyDatabase()
        let database = try legacy.open()
        try legacy.write { db in try db.execute(sql: "ALTER TABLE psm_task RENAME TO gone") }
        await #expect(throws: StoreError.self) {
            try await database.search(model: "tasks", query: "a", columns: .all, limit: 5)
        }
        try legacy.write { db in try db.execute(sql: "ALTER TABLE gone RENAME TO psm_task") }
        #expect(try await names(database, "tasks", "task 1:").count == 1)
    }

    @Test func aMissingFileIsToldAndNotMade() throws {
        let legacy = try LegacyDatabase()
        let path = legacy.path + ".missing"
        let tables = try legacy.configuration().foreignTables
        let error = #expect(throws: StoreError.self) { try ForeignSQLite(path: path, tables: tables) }
        #expect(error?.kind == .cannotOpen)
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
