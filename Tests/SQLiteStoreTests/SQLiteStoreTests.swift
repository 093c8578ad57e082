import Foundation
import GRDB
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct SQLiteStoreTests {
    @Test func aNewDatabaseIsPrivateAndInWALMode() async throws {
        let files = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(files.path))
        let mode = try FileManager.default.attributesOfItem(atPath: files.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let journal = try await store.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
        #expect(journal == "wal")
        try await store.checkHealth()
    }

    @Test func aDatabaseOpensAgainWithItsData() async throws {
        let files = try TemporaryDatabase()
        do {
            let store = try SQLiteStore(at: .file(files.path))
            _ = try await store.insertAccount(username: "ada", alias: "", passwordHash: "x", at: Date())
            try await store.close()
        }
        let store = try SQLiteStore(at: .file(files.path))
        #expect(try await store.account(named: "ada")?.username == "ada")
    }

    @Test func twoProcessesMayOpenANewDatabaseAtOnce() async throws {
        let files = try TemporaryDatabase()
        let path = files.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { try await SQLiteStore(at: .file(path)).checkHealth() } }
            try await group.waitForAll()
        }
    }

    @Test func aMissingDirectoryIsNamedInTheError() throws {
        let files = try TemporaryDatabase()
        let path = files.directory + "/missing/store.sqlite"
        let error = #expect(throws: StoreError.self) { try SQLiteStore(at: .file(path)) }
        #expect(error?.kind == .cannotOpen)
        #expect(error?.description == "cannot open database \(path): No such file or directory")
    }

    @Test func aFileThatIsNoDatabaseIsRefusedAndKept() throws {
        let files = try TemporaryDatabase()
        let text = String(repeating: "not a database, but long enough to look at. ", count: 100)
        try Data(text.utf8).write(to: URL(fileURLWithPath: files.path))
        let error = #expect(throws: StoreError.self) { try SQLiteStore(at: .file(files.path)) }
        #expect(error?.kind == .corrupt)
        #expect(error?.description.contains(files.path) == true)
        #expect(try String(contentsOfFile: files.path, encoding: .utf8) == text)
    }

    @Test func aSchemaOfANewerVersionIsRefused() async throws {
        let files = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(files.path))
        try await store.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 from the future')") }
        try await store.close()
        let error = #expect(throws: StoreError.self) { try SQLiteStore(at: .file(files.path)) }
        #expect(error?.kind == .newerSchema)
    }

    @Test func aLockedDatabaseIsAStoreErrorAndLeavesNothingHalfWritten() async throws {
        let files = try TemporaryDatabase()
        let store = try SQLiteStore(at: .file(files.path))
        try await store.write { try $0.execute(sql: "PRAGMA busy_timeout = 1") }
        var configuration = GRDB.Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: files.path, configuration: configuration)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let error = await #expect(throws: StoreError.self) {
            try await store.appendMessage(StoredMessage(message: "m", response: "r", at: Date()), userID: "u")
        }
        #expect(error?.kind == .busy)
        try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
        #expect(try await store.messages(userID: "u", limit: 10).isEmpty)
    }
}
