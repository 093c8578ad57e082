#if DEBUG

import Foundation
import GRDB
import TestSupport
import Testing

@testable package import PostgreSQLStore
@testable import SQLiteStore
package import Store

/// The databases that a store can be in. What the store promises is tested on each.
package enum Engine: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, postgreSQL

    package var testDescription: String { rawValue }

    /// Opens a new, empty store.
    package func store() async throws -> any InternalStore {
        switch self {
        case .sqlite: return try SQLiteStore(at: .memory)
        case .postgreSQL: return try await PostgreSQLStore.new()
        }
    }

    /// Opens a new store with these projects, numbered from 1 on.
    package func store(projects: [(name: String, description: String)]) async throws -> any InternalStore {
        let store = try await store()
        try await store.insert(projects: projects)
        return store
    }

    /// Opens a new store with two documents, of two passages each: the holiday policy, and how backups are made.
    package func storeWithDocuments() async throws -> any InternalStore {
        let store = try await store()
        try await store.putDocument(
            Document(title: "Holiday Policy", body: "Employees have 28 days of leave.\n\nRequests go to the team lead.")
        )
        try await store.putDocument(
            Document(title: "Backups", url: "/wiki/backups", body: "Backups run at two.\n\nLeave the tapes alone."))
        return store
    }
}

extension PostgreSQLStore {
    /// Opens a store in a schema of its own.
    package static func new(settings: PostgreSQLSettings = .test) async throws -> PostgreSQLStore {
        let url = try await PostgreSQLServer.shared().urlOfNewSchema()
        return try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: settings)
    }
}

extension PostgreSQLSettings {
    /// Few connections for each of many stores.
    package static var test: PostgreSQLSettings {
        var settings = PostgreSQLSettings()
        settings.connections = 3
        settings.scans = 1
        settings.idle = .seconds(5)
        // Small tables must not keep the index from being asked.
        settings.walkedFirst = 1
        return settings
    }
}

extension InternalStore {
    /// Adds projects.
    package func insert(projects: [(name: String, description: String)]) async throws {
        for (name, description) in projects {
            try await change(
                "INSERT INTO project (name, description) VALUES ($1, $2)", .text(name), .text(description))
        }
    }

    /// Changes the database behind the store's back; parameters are `$1`, `$2`, ….
    package func change(_ sql: String, _ values: PostgreSQLValue...) async throws {
        switch self {
        case let store as PostgreSQLStore:
            try await store.write { connection in _ = try connection.execute(sql, values) }
        case let store as SQLiteStore:
            try await store.write { db in
                try db.execute(
                    sql: sql.replacing("$", with: "?"), arguments: StatementArguments(values.map(\.databaseValue)))
            }
        default: throw StoreError(.unsupported, "an engine that the tests do not know")
        }
    }

    /// Returns the first column of the rows of a query, as text.
    package func column(_ sql: String) async throws -> [String?] {
        switch self {
        case let store as PostgreSQLStore:
            return try await store.read { connection in try connection.rows(sql) { $0[0] } }
        case let store as SQLiteStore:
            return try await store.read { db in try String?.fetchAll(db, sql: sql) }
        default: throw StoreError(.unsupported, "an engine that the tests do not know")
        }
    }
}

extension PostgreSQLValue {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .text(let text): text.databaseValue
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .bool(let bool): bool.databaseValue
        case .bytes(let bytes): Data(bytes).databaseValue
        case .texts(let texts): texts.joined(separator: ",").databaseValue
        }
    }
}

#endif
