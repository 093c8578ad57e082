import Foundation
import GRDB
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

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
}
