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

/// A company's database in PostgreSQL whose policies decide which rows a caller sees and changes.
struct SecuredCompany {
    /// The URL of the role that may log in and is subject to the policies.
    let url: String
    let role: String
    private let ownerURL: String

    init() async throws {
        let server = try await PostgreSQLServer.shared()
        ownerURL = try await server.urlOfNewSchema()
        let schema = try await server.sql("SELECT current_schema", url: ownerURL)
        role = "app_\(schema)"
        try await server.sql(
            """
            CREATE ROLE \(role) LOGIN;
            GRANT USAGE ON SCHEMA \(schema) TO \(role);
            CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL, words text NOT NULL);
            ALTER TABLE note ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON note USING (owner = current_setting('app.user_id'))
                WITH CHECK (owner = current_setting('app.user_id'));
            GRANT SELECT, INSERT, UPDATE, DELETE ON note TO \(role);
            CREATE TABLE seat (tenant bigint NOT NULL, label text NOT NULL);
            ALTER TABLE seat ENABLE ROW LEVEL SECURITY;
            CREATE POLICY of_tenant ON seat USING (tenant = current_setting('app.tenant')::bigint);
            GRANT SELECT ON seat TO \(role);
            INSERT INTO note (owner, words) VALUES ('jwt:ada', 'one'), ('jwt:ada', 'two'), ('jwt:bob', 'three');
            INSERT INTO seat VALUES (1, 'a'), (2, 'b');
            """, url: ownerURL)
        url = ownerURL.replacing("postgres://\(PostgreSQLServer.user)@", with: "postgres://\(role)@")
    }

    func sql(_ text: String) async throws -> String {
        try await PostgreSQLServer.shared().sql(text, url: ownerURL)
    }

    /// A tool-server on the database.
    func toolServer(_ tools: JSONObject, _ changes: JSONObject = [:], asOwner: Bool = false) async throws -> ToolServer
    {
        let settings: JSONObject = [
            "database": .string(asOwner ? ownerURL : url), "stateDatabase": ":memory:", "sqlTools": .object(tools),
            "postgres": ["connections": 3, "scans": 1],
        ]
        let configuration = try ToolServerConfiguration(
            document: ["toolServer": .object(settings.merging(changes))], environment: [:])
        return try buildToolServer(
            configuration: configuration, external: await configuration.openExternal(), hasher: .test(),
            logger: Logger(label: "test"))
    }

    static let ada = Principal(id: "jwt:ada", name: "Ada", claims: ["tenant": 1])
    static let bob = Principal(id: "jwt:bob", name: "Bob", claims: ["tenant": 2])
}

@Suite struct RowSecurityTests {
    private static let tools: JSONObject = [
        "notes": ["statement": "SELECT owner, words FROM note ORDER BY id", "session": ["app.user_id": "caller.id"]],
        "seats": ["statement": "SELECT label FROM seat", "session": ["app.tenant": "claim:/tenant"]],
        "variables": [
            "statement": """
            SELECT coalesce(current_setting('app.user_id', true), '') AS id,
                coalesce(current_setting('app.tenant', true), '') AS tenant
            """
        ],
        "shown": [
            "statement": """
            SELECT current_setting('app.id') AS id, current_setting('app.name') AS name,
                current_setting('app.scopes') AS scopes, current_setting('app.org') AS org
            """,
            "session": [
                "app.id": "caller.id", "app.name": "caller.name", "app.scopes": "caller.scopes",
                "app.org": "claim:/org",
            ],
        ],
    ]

    private func rows(_ result: CallToolResult, _ column: String) -> [String] {
        #expect(!result.isError, "\(result.text)")
        return result.structuredContent?["results"]?.array?.compactMap { $0[column]?.string } ?? []
    }

    @Test func everyCallerSeesItsOwnRows() async throws {
        let company = try await SecuredCompany()
        let toolServer = try await company.toolServer(Self.tools)
        let server = toolServer.server
        #expect(try await toolServer.check().contains("tool notes: ok"))
        #expect(try await toolServer.check().allSatisfy { !$0.hasPrefix("warning") })
        func notes(_ principal: Principal?) async throws -> CallToolResult {
            try await server.call(tool: "notes", arguments: [:], principal: principal)
        }
        #expect(try await rows(notes(SecuredCompany.ada), "words") == ["one", "two"])
        #expect(try await rows(notes(SecuredCompany.bob), "words") == ["three"])
        #expect(try await rows(notes(Principal(id: "jwt:eve", name: "Eve")), "words") == [])
        let anonymous = try await notes(nil)
        #expect(anonymous.isError && anonymous.text == "Not authenticated")
        // A policy that reads a number.
        let seats = try await server.call(tool: "seats", arguments: [:], principal: SecuredCompany.bob)
        #expect(rows(seats, "label") == ["b"])
        let none = try await server.call(tool: "seats", arguments: [:], principal: Principal(id: "x", name: "x"))
        #expect(none.isError && none.text == "The caller has no claim:/tenant")
        await toolServer.shutdown()
    }

    @Test func manyCallersAtATimeNeverMeet() async throws {
        let company = try await SecuredCompany()
        let toolServer = try await company.toolServer(Self.tools)
        let server = toolServer.server
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let principal = number % 2 == 0 ? SecuredCompany.ada : SecuredCompany.bob
                    let result = try await server.call(tool: "notes", arguments: [:], principal: principal)
                    #expect(
                        result.structuredContent?["results"]?.array?.allSatisfy { $0["owner"]?.string == principal.id }
                            == true)
                    // What a call set is gone before the connection serves the next.
                    let left = try await server.call(tool: "variables", arguments: [:], principal: nil)
                    #expect(left.structuredContent?["results"]?[0] == ["id": "", "tenant": ""])
                }
            }
            try await group.waitForAll()
        }
        await toolServer.shutdown()
    }

    @Test func variablesHaveTheTextsOfFacts() async throws {
        let company = try await SecuredCompany()
        let toolServer = try await company.toolServer(Self.tools)
        let principal = Principal(
            id: "jwt:o'brien", name: "\\ \"{}\", %", scopes: ["b", "a"], claims: ["org": ["unit": [1, "x"]]])
        let result = try await toolServer.server.call(tool: "shown", arguments: [:], principal: principal)
        #expect(
            result.structuredContent?["results"]?[0] == [
                "id": "jwt:o'brien", "name": "\\ \"{}\", %", "scopes": "a b", "org": #"{"unit":[1,"x"]}"#,
            ])
        let hole = Principal(id: "a\0b", name: "x", claims: ["org": 1])
        let refused = try await toolServer.server.call(tool: "shown", arguments: [:], principal: hole)
        #expect(refused.isError && refused.text == "The caller has no caller.id")
        await toolServer.shutdown()
    }

    @Test func aRoleThatNoPolicyBindsIsTold() async throws {
        let company = try await SecuredCompany()
        let toolServer = try await company.toolServer(Self.tools, asOwner: true)
        let lines = try await toolServer.check()
        #expect(lines.contains { $0.hasPrefix("warning:") && $0.contains("row-level security") })
        await toolServer.shutdown()
    }
}
