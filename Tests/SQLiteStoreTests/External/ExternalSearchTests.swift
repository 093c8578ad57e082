import Foundation
import GRDB
import JSON
import JSONConfiguration
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct ExternalSearchTests {
    private func names(
        _ database: ExternalSQLite, _ model: String, _ query: String, columns: SearchColumns = .all,
        viewer: String? = nil
    ) async throws -> [String] {
        try #require(
            await database.search(model: model, query: query, columns: columns, viewer: viewer, limit: 5)
        ).map(\.name)
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

    @Test func aMissingFileIsToldAndNotMade() throws {
        let legacy = try LegacyDatabase()
        let path = legacy.path + ".missing"
        let tables = try legacy.configuration().externalTables
        let error = #expect(throws: StoreError.self) { try ExternalSQLite(path: path, tables: tables) }
        #expect(error?.kind == .cannotOpen)
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
