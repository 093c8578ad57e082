#if DEBUG

package import Foundation
package import GRDB
package import JSON
package import SQLiteStore
import TestSupport
package import ToolServerCore

/// A copy of the recorded Django database, to read and to spoil.
package final class LegacyDatabase {
    /// The site's `SECRET_KEY`.
    package static let secretKey = "bench-only-key-bench-only-key-bench-only-key-0123456789"
    /// The session cookie of alice, who is logged in.
    package static let alice = "alice0session0cookie0000000000000"
    /// The session cookie of bob, who is logged in.
    package static let bob = "bob000session0cookie0000000000000"
    /// The cookie of a session that has ended.
    package static let expired = "expired0session0cookie00000000000"
    /// Between the expired session's end and the others'.
    package static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private let temporary: TemporaryDatabase
    /// The path of the copy.
    package let path: String

    /// Copies the database, and removes the copy with this value.
    package init() throws {
        temporary = try TemporaryDatabase()
        path = temporary.directory + "/legacy.sqlite3"
        try FileManager.default.copyItem(atPath: Checkout.path("Tests/Fixtures/legacy/legacy.sqlite3"), toPath: path)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    /// Changes the data as the site would.
    package func write<T>(_ body: (Database) throws -> T) throws -> T {
        try DatabaseQueue(path: path).write(body)
    }

    /// Returns the parts that must not change: journal mode and schema.
    package func shape() throws -> [String] {
        try DatabaseQueue(path: path).read { db in
            try String.fetchAll(db, sql: "PRAGMA journal_mode")
                + String.fetchAll(db, sql: "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name")
        }
    }

    /// The `toolServer` section for this database; `changes` replace keys of it.
    package func configuration(_ changes: JSONObject = [:], models: JSONValue? = nil) throws -> ToolServerConfiguration
    {
        var section: JSONObject = [
            "database": .string(path), "stateDatabase": ":memory:", "identity": ["django"],
            "django": ["users": ["table": "ai_user", "alias": "alias"]], "messages": ["table": "ai_chatmessage"],
            "search": ["models": models ?? Self.models],
        ]
        for (key, value) in changes { section[key] = value }
        return try ToolServerConfiguration(
            document: .object(["toolServer": .object(section)]), environment: ["DJANGO_SECRET_KEY": Self.secretKey])
    }

    /// Opens the copy as the tool-server would.
    package func open(_ changes: JSONObject = [:], models: JSONValue? = nil) throws -> ExternalSQLite {
        try ExternalSQLite(path: path, tables: configuration(changes, models: models).externalTables)
    }

    /// The searches of the site's projects and tasks.
    package static let models: JSONValue = [
        "projects": [
            "table": "psm_project", "columns": ["name", "description"], "url": "/psm/project/{id}/",
        ],
        "tasks": ["table": "psm_task", "columns": ["title", "notes"], "url": "/psm/task/{id}/"],
    ]
}

#endif
