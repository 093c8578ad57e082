import Foundation
import GRDB
import JSON
import JSONConfiguration
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import SQLiteStore
@testable import Store
@testable import ToolServerCore

/// A database that is locked, gone, replaced, damaged or full: told as such, and over as soon as the cause is.
@Suite struct FaultTests {
    private func open(_ legacy: LegacyDatabase) throws -> ExternalSQLite {
        try ExternalSQLite(path: legacy.path, tables: legacy.configuration().externalTables, busyTimeout: 0.05)
    }

    private func kind(_ body: () async throws -> Void) async -> StoreError.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.kind
        }
    }

    private func search(_ database: ExternalSQLite) async throws {
        let hits = try await database.search(model: "projects", query: "urgent", columns: .all, limit: 5)
        try #require(hits?.isEmpty == false)
    }

    @Test func aLockedDatabaseIsBusyUntilItIsReleased() async throws {
        let legacy = try LegacyDatabase()
        let database = try open(legacy)
        var unsafe = GRDB.Configuration()
        unsafe.allowsUnsafeTransactions = true
        let site = try DatabaseQueue(path: legacy.path, configuration: unsafe)
        try await site.writeWithoutTransaction { db in try db.execute(sql: "BEGIN EXCLUSIVE") }
        #expect(await kind { try await search(database) } == .busy)
        #expect(await kind { try await database.checkHealth() } == .busy)
        let message = StoredMessage(message: "m", response: "r", at: LegacyDatabase.now)
        #expect(await kind { try await database.appendMessage(message, userID: "django:1") } == .busy)
        try await site.writeWithoutTransaction { db in try db.execute(sql: "COMMIT") }
        #expect(await kind { try await search(database) } == nil)
        #expect(await kind { try await database.appendMessage(message, userID: "django:1") } == nil)
    }

    @Test func aFileThatIsMovedAwayIsMissedUntilItIsBack() async throws {
        let legacy = try LegacyDatabase()
        let database = try open(legacy)
        try FileManager.default.moveItem(atPath: legacy.path, toPath: legacy.path + ".away")
        #expect(await kind { try await search(database) } == .cannotOpen)
        #expect(await kind { try await database.checkHealth() } == .cannotOpen)
        #expect(!FileManager.default.fileExists(atPath: legacy.path))
        try FileManager.default.moveItem(atPath: legacy.path + ".away", toPath: legacy.path)
        #expect(await kind { try await search(database) } == nil)
    }

    @Test func aFileThatIsReplacedIsReadAsItIsNow() async throws {
        let legacy = try LegacyDatabase()
        let database = try open(legacy)
        try await search(database)
        let other = try LegacyDatabase()
        try other.write { db in try db.execute(sql: "UPDATE psm_project SET name = 'Replaced urgent'") }
        try #require(rename(other.path, legacy.path) == 0)
        let hits = try await database.search(model: "projects", query: "urgent", columns: .all, limit: 1)
        #expect(hits?.first?.name == "Replaced urgent")
        let message = StoredMessage(message: "to the new one", response: "r", at: LegacyDatabase.now)
        try await database.appendMessage(message, userID: "django:1")
        let count = try legacy.write { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM ai_chatmessage WHERE message = 'to the new one'")
        }
        #expect(count == 1)
    }

    @Test func aDamagedFileIsToldUntilItIsRepaired() async throws {
        let legacy = try LegacyDatabase()
        let database = try open(legacy)
        let good = try #require(FileManager.default.contents(atPath: legacy.path))
        func overwrite(_ data: Data) throws {
            // In place: the same file with other bytes.
            let file = try FileHandle(forWritingTo: URL(filePath: legacy.path))
            try file.write(contentsOf: data)
            try file.close()
        }
        try overwrite(Data(repeating: 0x2A, count: good.count))
        #expect(await kind { try await search(database) } == .corrupt)
        #expect(throws: (any Error).self) { try open(legacy) }
        try overwrite(good)
        #expect(await kind { try await search(database) } == nil)
    }

    @Test func aFullDiskLosesTheMessageButNothingElse() async throws {
        let temporary = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(temporary.path))
        try await store.putDocument(Document(title: "t", body: "b"))
        func limit(_ pages: Int) async throws {
            // The writer's own limit stands for the disk's end: the error is the same.
            try await store.database.writeWithoutTransaction { db in
                _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(pages)")
            }
        }
        try await limit(1)
        let message = StoredMessage(message: String(repeating: "m", count: 100_000), response: "r", at: Date())
        #expect(await kind { try await store.appendMessage(message, userID: "local:1") } == .full)
        #expect(try await store.messages(userID: "local:1", limit: 5).isEmpty)
        #expect(try await store.documentTitles(limit: 5).count == 1)
        try await limit(1 << 30)
        try await store.appendMessage(message, userID: "local:1")
        #expect(try await store.messages(userID: "local:1", limit: 5).count == 1)
        try await store.close()
    }

    @Test func aDatabaseThatMayOnlyBeReadIsStillRead() async throws {
        let temporary = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(temporary.path))
        try await store.insert(projects: [("Urgent", "")])
        func setReadOnly(_ isReadOnly: Bool) async throws {
            // Files that may not be written do not stop the user that tests run as; the error is the same.
            try await store.database.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA query_only = \(isReadOnly ? 1 : 0)")
            }
        }
        try await setReadOnly(true)
        let message = StoredMessage(message: "m", response: "r", at: Date())
        #expect(await kind { try await store.appendMessage(message, userID: "local:1") } == .readOnly)
        #expect(try await store.messages(userID: "local:1", limit: 5).isEmpty)
        #expect(try await store.search(model: "projects", query: "urgent", columns: .all, limit: 5)?.count == 1)
        try await setReadOnly(false)
        try await store.appendMessage(message, userID: "local:1")
        #expect(try await store.messages(userID: "local:1", limit: 5).count == 1)
        try await store.close()
    }

    @Test(arguments: Engine.allCases)
    func sqlInEveryFieldIsText(engine: Engine) async throws {
        let store = try await engine.store(projects: [("Urgent", "")])
        // A name with NUL is no name in either engine.
        for text in SQLToolTests.hostile where !text.contains("\0") {
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

    @Test func ourOwnFileMovedAwayIsNotHealthy() async throws {
        let temporary = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(temporary.path))
        try await store.checkHealth()
        try FileManager.default.moveItem(atPath: temporary.path, toPath: temporary.path + ".away")
        #expect(await kind { try await store.checkHealth() } == .cannotOpen)
        try FileManager.default.moveItem(atPath: temporary.path + ".away", toPath: temporary.path)
        try await store.checkHealth()
        try await store.close()
    }

    @Test func readinessNamesTheDatabaseThatIsMissing() async throws {
        let legacy = try LegacyDatabase()
        let configuration = try legacy.configuration(["admin": "127.0.0.1:0"])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
        let admin = try toolServer.adminService(state: ProcessState(), group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await admin.http.start().first?.port)
        let client = HTTPTestClient("http://127.0.0.1:\(port)")
        #expect(try await client.get("/readyz").status == 200)
        try FileManager.default.moveItem(atPath: legacy.path, toPath: legacy.path + ".away")
        let missing = try await client.get("/readyz")
        #expect(missing.status == 503)
        #expect(try missing.json["reasons"] == ["database: cannotOpen"])
        let result = try await toolServer.server.call(
            tool: "search_projects", arguments: ["query": "u"], principal: nil)
        #expect(result.isError && result.text == "The database is unavailable" && result.status == 503)
        try FileManager.default.moveItem(atPath: legacy.path + ".away", toPath: legacy.path)
        #expect(try await client.get("/readyz").status == 200)
        let back = try await toolServer.server.call(
            tool: "search_projects", arguments: ["query": "u"], principal: nil)
        #expect(!back.isError)
        await admin.drain()
        await toolServer.shutdown()
    }

    @Test func checkTellsWhatIsThereAndWhatIsNot() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            try db.execute(
                sql: "CREATE TABLE base (id INTEGER PRIMARY KEY, t TEXT); CREATE VIEW broken AS SELECT * FROM base")
        }
        let configuration = try legacy.configuration(
            ["sqlTools": ["count": ["statement": "SELECT count(*) AS n FROM psm_project"]]],
            models: [
                "projects": ["table": "psm_project", "columns": ["name"], "url": "/{id}/"],
                "broken": ["table": "broken", "columns": ["t"], "url": "/{id}/", "order": ["id"]],
            ])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
        let lines = try await toolServer.check()
        for line in [
            "model projects: ok", "model broken: ok", "index of projects: missing", "tool count: ok",
            "messages in ai_chatmessage: ok",
        ] { #expect(lines.contains(line), "\(lines)") }
        #expect(lines.contains { $0.hasPrefix("index of broken: unsupported") })
        try legacy.write { db in try db.execute(sql: "DROP TABLE base") }
        let errors = await #expect(throws: ConfigurationErrors.self) { try await toolServer.check() }
        #expect(errors?.description.contains("toolServer.search.models.broken") == true)
        await toolServer.shutdown()
    }
}
