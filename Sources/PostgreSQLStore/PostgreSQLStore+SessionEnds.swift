package import Foundation
import MCPServer

/// Ends of sealed MCP sessions, for all servers that share the database.
extension PostgreSQLStore: SessionEnds {
    package func record(_ name: [UInt8], until expiry: Date, now: Date) {
        recentEnds.record(name, until: expiry, now: now)
        // In the background: until it is stored, only this server knows of the end.
        Task {
            try await write { connection in
                try connection.execute(
                    "INSERT INTO ended_session (name, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    [.bytes(name), .instant(expiry)])
                try connection.execute("DELETE FROM ended_session WHERE expires_at <= $1", [.instant(now)])
            }
        }
    }

    /// Returns whether a session has ended. When the database is unavailable the answer is true: the client then opens
    /// another session, which does no harm.
    package func contains(_ name: [UInt8]) async -> Bool {
        if await recentEnds.contains(name) { return true }
        let found = try? await read { connection in
            try connection.first("SELECT true FROM ended_session WHERE name = $1", [.bytes(name)]) { $0.bool(0) }
                ?? false
        }
        return found ?? true
    }

    package func endedElsewhere(among names: [[UInt8]]) async throws -> [[UInt8]] {
        guard !names.isEmpty else { return [] }
        let texts = names.map { name in
            name.reduce(into: "") { $0 += ($1 < 16 ? "0" : "") + String($1, radix: 16) }
        }
        return try await read { connection in
            try connection.rows(
                """
                SELECT name FROM ended_session
                WHERE name = ANY (SELECT decode(text, 'hex') FROM unnest($1::text[]) AS text)
                """, [.texts(texts)]
            ) { $0.bytes(0) ?? [] }
        }
    }
}
