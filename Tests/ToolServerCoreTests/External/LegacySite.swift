import GRDB
import JSON

@testable import Store
@testable import ToolServerCore

/// The recorded Django site in a database of its own.
protocol LegacySite {
    /// The `toolServer` section for this database; `changes` replace keys of it.
    func configuration(_ changes: JSONObject, models: JSONValue?) throws -> ToolServerConfiguration

    /// Changes the data as the site would.
    func change(_ sql: String) async throws
}

extension LegacySite {
    func opened(_ changes: JSONObject = [:], models: JSONValue? = nil) async throws -> any ExternalDatabase {
        guard let database = try await configuration(changes, models: models).openExternal() else {
            throw StoreError(.unsupported, "nothing of the site is configured")
        }
        return database
    }
}

extension Engine {
    func site() async throws -> any LegacySite {
        switch self {
        case .sqlite: try LegacyDatabase()
        case .postgreSQL: try await LegacyPostgreSQL()
        }
    }
}

extension LegacyDatabase: LegacySite {
    func change(_ sql: String) async throws {
        try write { db in try db.execute(sql: sql) }
    }
}

extension LegacyPostgreSQL: LegacySite {}
