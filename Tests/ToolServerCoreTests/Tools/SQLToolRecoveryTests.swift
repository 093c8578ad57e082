import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store
@testable import ToolServerCore

/// Tools of a server that starts before its database.
@Suite struct SQLToolRecoveryTests {
    @Test func aStatementIsComparedWithTheDatabaseAsSoonAsThatComes() async throws {
        let server = try await PostgreSQLServer()
        try await server.start()
        let url = try await server.urlOfNewSchema()
        try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test).close()
        try await server.sql("INSERT INTO project (name) VALUES ('first'), ('second')", url: url)
        try await server.stop()
        let configuration = try ToolServerConfiguration(
            document: [
                "toolServer": [
                    "sqlTools": [
                        "list": ["statement": "SELECT name, id FROM project ORDER BY id"],
                        // Declared in another order than the statement's.
                        "declared": [
                            "statement": "SELECT name, id FROM project ORDER BY id",
                            "columns": ["id": "integer", "name": "string"],
                        ],
                        "other": ["statement": "SELECT name FROM project", "columns": ["title": "string"]],
                        "wipe": [
                            "statement": "WITH gone AS (DELETE FROM project RETURNING id) SELECT id FROM gone"
                        ],
                    ]
                ]
            ], environment: [:])
        let store = try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test, waiting: true)
        let toolServer = try buildToolServer(
            configuration: configuration, store: store, provider: EchoProvider(), hasher: .test(),
            logger: Logger(label: "test"))
        func call(_ tool: String) async throws -> CallToolResult {
            try await toolServer.server.call(tool: tool, arguments: [:], principal: nil)
        }
        let tools = toolServer.server.toolDefinitions(for: nil)
        #expect(tools.suffix(4).map(\.name) == ["list", "declared", "other", "wipe"])
        #expect(tools.first { $0.name == "list" }?.outputSchema?["type"] == "object")
        for tool in ["list", "declared", "other", "wipe"] {
            let result = try await call(tool)
            #expect(result.isError && result.text == "The database is unavailable", "\(result.text)")
        }

        try await server.start()
        let isAnswered = await eventually(within: .seconds(30), every: .milliseconds(50)) {
            (try? await store.checkHealth()) != nil
        }
        #expect(isAnswered)
        let rows: JSONValue = ["results": [["name": "first", "id": 1], ["name": "second", "id": 2]]]
        #expect(try await call("list").structuredContent == rows)
        #expect(try await call("declared").structuredContent == rows)
        for tool in ["other", "wipe"] {
            let result = try await call(tool)
            #expect(result.isError && result.text == "The statement of \(tool) failed", "\(result.text)")
        }
        #expect(try await store.column("SELECT count(*) FROM project") == ["2"])
        // With its database there, a server does not even start.
        let errors = #expect(throws: ConfigurationErrors.self) {
            try buildToolServer(
                configuration: configuration, store: store, provider: EchoProvider(), hasher: .test(),
                logger: Logger(label: "test"))
        }
        #expect(errors?.description.contains("sqlTools.other.columns") == true, "\(errors?.description ?? "")")
        await toolServer.shutdown()
        try await server.stop()
    }
}
