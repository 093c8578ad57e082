#if DEBUG

import GRDB
package import JSON
package import Store
package import ToolServerCore

/// The recorded Django site in a database of its own.
package protocol LegacySite {
    /// The `toolServer` section for this database; `changes` replace keys of it.
    func configuration(_ changes: JSONObject, models: JSONValue?) throws -> ToolServerConfiguration

    /// Changes the data as the site would.
    func change(_ sql: String) async throws
}

extension LegacySite {
    /// Opens the database as the configuration says.
    package func opened(_ changes: JSONObject = [:], models: JSONValue? = nil) async throws -> any ExternalDatabase {
        guard let database = try await configuration(changes, models: models).openExternal() else {
            throw StoreError(.unsupported, "nothing of the site is configured")
        }
        return database
    }
}

extension Engine {
    /// Returns the recorded site in a new database of this engine.
    package func site() async throws -> any LegacySite {
        switch self {
        case .sqlite: try LegacyDatabase()
        case .postgreSQL: try await LegacyPostgreSQL()
        }
    }
}

extension LegacyDatabase: LegacySite {
    package func change(_ sql: String) async throws {
        try write { db in try db.execute(sql: sql) }
    }
}

extension LegacyPostgreSQL: LegacySite {}

#endif
