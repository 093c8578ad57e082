import Foundation
import GRDB
import JSON

@testable import SQLiteStore
@testable import ToolServerCore

/// A copy of the recorded Django database, to read and to spoil.
final class LegacyDatabase {
    static let secretKey = "bench-only-key-bench-only-key-bench-only-key-0123456789"
    static let alice = "alice0session0cookie0000000000000"
    static let bob = "bob000session0cookie0000000000000"
    static let expired = "expired0session0cookie00000000000"
    /// Between the expired session's end and the others'.
    static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private let temporary: TemporaryDatabase
    let path: String

    init() throws {
        temporary = try TemporaryDatabase()
        path = temporary.directory + "/legacy.sqlite3"
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/legacy/legacy.sqlite3")
        try FileManager.default.copyItem(atPath: fixtures.path, toPath: path)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    /// Changes the data as the site would.
    func write<T>(_ body: (Database) throws -> T) throws -> T {
        try DatabaseQueue(path: path).write(body)
    }

    /// What must not change: journal mode and schema.
    func shape() throws -> [String] {
        try DatabaseQueue(path: path).read { db in
            try String.fetchAll(db, sql: "PRAGMA journal_mode")
                + String.fetchAll(db, sql: "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name")
        }
    }

    /// The `toolServer` section for this database; `changes` replace keys of it.
    func configuration(_ changes: JSONObject = [:], models: JSONValue? = nil) throws -> ToolServerConfiguration {
        var section: JSONObject = [
            "database": .string(path), "stateDatabase": ":memory:", "identity": ["django"],
            "django": ["users": ["table": "ai_user", "alias": "alias"]], "messages": ["table": "ai_chatmessage"],
            "search": ["models": models ?? Self.models],
        ]
        for (key, value) in changes { section[key] = value }
        return try ToolServerConfiguration(
            document: .object(["toolServer": .object(section)]), environment: ["DJANGO_SECRET_KEY": Self.secretKey])
    }

    func open(_ changes: JSONObject = [:], models: JSONValue? = nil) throws -> ExternalSQLite {
        try ExternalSQLite(path: path, tables: configuration(changes, models: models).externalTables)
    }

    static let models: JSONValue = [
        "projects": [
            "table": "psm_project", "columns": ["name", "description"], "url": "/psm/project/{id}/",
        ],
        "tasks": ["table": "psm_task", "columns": ["title", "notes"], "url": "/psm/task/{id}/"],
    ]
}
