import Foundation
import JSON
import Logging
import NIOPosix
import TestSupport
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import ToolServerCore

/// Searches that read a whole table, over HTTP: they end with their client, and leave room for the others.
@Suite struct LeavingClientTests {
    /// A server on the site's tables, with a model `endless` whose search does not end by itself.
    private struct Site {
        let toolServer: ToolServer
        /// How many searches read a whole table now.
        let running: @Sendable () async throws -> Int
        /// At most as many.
        let places: Int
        /// What must be there for as long as the server is.
        private let kept: LegacyDatabase?

        init(_ engine: Engine) async throws {
            let endless: JSONValue = [
                "projects": LegacyDatabase.models["projects"] ?? .null,
                "endless": ["table": "endless", "columns": ["name"], "url": "/{id}/", "order": ["id"]],
            ]
            let configuration: ToolServerConfiguration
            switch engine {
            case .sqlite:
                let legacy = try LegacyDatabase()
                try legacy.write { db in
                    try db.execute(
                        sql: """
                            CREATE VIEW endless AS
                            WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
                            SELECT id, 'name ' || id AS name FROM n
                            """)
                }
                configuration = try legacy.configuration(["port": 0], models: endless)
                let external = try ExternalSQLite(path: legacy.path, tables: configuration.externalTables)
                running = { external.scans.running }
                kept = legacy
                places = external.scans.limit
                toolServer = try buildToolServer(
                    configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
            case .postgreSQL:
                let legacy = try await LegacyPostgreSQL()
                try await legacy.change("CREATE VIEW endless AS SELECT 1 AS id, 'name' || pg_sleep(3600) AS name")
                // No limit of the server's ends it before the test does.
                configuration = try legacy.configuration(
                    [
                        "port": 0,
                        "postgres": ["connections": 3, "scans": 1, "statementTimeout": "1h", "wait": "100ms"],
                    ], models: endless)
                let schema = try #require(try await legacy.rows("SELECT current_schema()").first?.first ?? nil)
                running = {
                    // Whoever reads the view holds a lock on it.
                    let count = try await legacy.rows(
                        """
                        SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
                        WHERE relname = 'endless' AND relnamespace = '\(schema)'::regnamespace AND granted
                        """)
                    return Int((count.first?.first ?? nil) ?? "") ?? 0
                }
                places = 1
                kept = nil
                toolServer = try await buildToolServer(
                    configuration: configuration, external: configuration.openExternal(), hasher: .test(),
                    logger: Logger(label: "test"))
            }
        }

        func serving(_ body: (Int) async throws -> Void) async throws {
            let service = toolServer.httpService(group: MultiThreadedEventLoopGroup.singleton)
            let port = try #require(try await service.http.start().first?.port)
            do { try await body(port) } catch {
                await service.drain()
                await toolServer.shutdown()
                throw error
            }
            await service.drain()
            await toolServer.shutdown()
        }
    }

    private static let endless = #"{"model":"endless","query":"@"}"#

    /// A client that has asked and waits.
    private func asking(_ port: Int) async throws -> RawSocketClient {
        let client = try RawSocketClient(port: port)
        await client.send(
            "POST /mcp/search_any HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(Self.endless.utf8.count)\r\n\r\n" + Self.endless)
        return client
    }

    private func search(_ port: Int, _ query: String) async throws -> HTTPTestResponse {
        try await HTTPTestClient("http://127.0.0.1:\(port)").post(
            "/mcp/search_any", json: ["model": "projects", "query": .string(query)])
    }

    @Test(arguments: Engine.allCases)
    func aSearchEndsWithItsClient(engine: Engine) async throws {
        let site = try await Site(engine)
        try await site.serving { port in
            var client: RawSocketClient? = try await asking(port)
            #expect(try await eventually { try await site.running() == 1 })
            _ = client
            client = nil
            #expect(try await eventually { try await site.running() == 0 })
            let cancelled = #"tool_server_tool_calls_total{tool="search_any",outcome="cancelled"} 1"#
            #expect(await eventually { site.toolServer.metrics.registry.exposition().contains(cancelled) })
            // The place is free: this reads the whole table.
            let found = try await search(port, "@@")
            #expect(try found.json == ["results": []])
        }
    }

    @Test(arguments: Engine.allCases)
    func whatIsQuickIsAnsweredWhileTheScansTakeAllTheirPlaces(engine: Engine) async throws {
        let site = try await Site(engine)
        try await site.serving { port in
            var clients: [RawSocketClient] = []
            for number in 1...site.places {
                clients.append(try await asking(port))
                #expect(try await eventually { try await site.running() == number })
            }
            // One more does not get a place.
            if engine == .postgreSQL {
                let refused = try await HTTPTestClient("http://127.0.0.1:\(port)").post(
                    "/mcp/search_any", Self.endless)
                #expect(refused.status == 503)
                #expect(refused.text.contains("Too many searches"))
            } else {
                clients.append(try await asking(port))
            }
            for query in ["urgent", "e"] {
                let found = try await search(port, query)
                #expect(try found.json["results"]?.array?.count == 5, "\(found.text)")
            }
            #expect(try await site.running() == site.places)
            clients = []
            #expect(try await eventually { try await site.running() == 0 })
        }
    }
}
