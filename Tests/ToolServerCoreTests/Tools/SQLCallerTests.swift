import Foundation
import JSON
import JSONConfiguration
import MCP
import MCPServer
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store
@testable import ToolServerCore

/// Arguments of SQL tools that come from who is asking, and PostgreSQL's row-level security with them.
@Suite struct SQLCallerTests {
    private static let ada = Principal(
        id: "jwt:ada", name: "Ada", scopes: ["records:read", "chat"],
        claims: [
            "tenant": "acme", "level": 3, "share": 1.5, "admin": true, "teams": ["blue", "red"], "ids": [1, 3],
            "org": ["a/b": ["c~d": "deep"]], "none": .null, "hole": "a\0b",
        ])
    private static let eve = Principal(id: "jwt:eve' OR '1'='1", name: "Eve\"; --", claims: ["tenant": "' OR 1=1 --"])

    private func fixture(on engine: Engine = .sqlite, _ tools: JSONObject) async throws -> ToolFixture {
        try await ToolFixture(on: engine, document: ["toolServer": ["sqlTools": .object(tools)]])
    }

    private func call(
        _ fixture: ToolFixture, _ arguments: JSONObject = [:], as principal: Principal?
    ) async throws -> CallToolResult {
        try await fixture.toolServer.server.call(tool: "who", arguments: arguments, principal: principal)
    }

    private static let who: JSONObject = [
        "who": [
            "statement": """
            SELECT :id AS id, :name AS name, :tenant AS tenant, :level AS level, :share AS share, :admin AS admin,
                :deep AS deep, :given AS given
            """,
            "arguments": [
                "id": ["from": "caller.id"], "name": ["from": "caller.name"], "tenant": ["from": "claim:/tenant"],
                "level": ["type": "integer", "from": "claim:/level"],
                "share": ["type": "number", "from": "claim:/share"],
                "admin": ["type": "boolean", "from": "claim:/admin"], "deep": ["from": "claim:/org/a~1b/c~0d"],
                "given": [:],
            ],
            "columns": [
                "id": "string", "name": "string", "tenant": "string", "level": "integer", "share": "number",
                "admin": "boolean", "deep": "string", "given": "string",
            ],
        ]
    ]

    @Test(arguments: Engine.allCases)
    func whoIsAskingIsBound(engine: Engine) async throws {
        let fixture = try await fixture(on: engine, Self.who)
        let tool = try #require(fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == "who" })
        #expect(tool.inputSchema["properties"]?.object?.keys == ["given"])
        #expect(tool.inputSchema["required"] == ["given"])
        let result = try await call(fixture, ["given": "x"], as: Self.ada)
        #expect(
            result.structuredContent?["results"]?[0] == [
                "id": "jwt:ada", "name": "Ada", "tenant": "acme", "level": 3, "share": 1.5, "admin": true,
                "deep": "deep",
                "given": "x",
            ])
    }

    @Test func whatACallerSaysOfItselfIsRefused() async throws {
        let fixture = try await fixture(Self.who)
        for name in ["id", "name", "tenant", "level", "deep", "caller.id", "claim:/tenant"] {
            let refusal = await #expect(throws: ToolCallError.self) {
                try await call(fixture, ["given": "x", name: "jwt:eve"], as: Self.ada)
            }
            #expect(refusal?.description == "Invalid arguments: unknown property '\(name)'")
        }
    }

    @Test(arguments: Engine.allCases)
    func anonymousCallersAreRefused(engine: Engine) async throws {
        for source in ["caller.id", "caller.name", "claim:/tenant"] {
            let fixture = try await fixture(
                on: engine,
                ["who": ["statement": "SELECT :x AS x", "arguments": ["x": ["from": .string(source)]]]])
            let result = try await call(fixture, as: nil)
            #expect(result.isError && result.text == "Not authenticated")
        }
    }

    @Test(arguments: [
        ("claim:/missing", "string", "The caller has no claim:/missing"),
        ("claim:/none", "string", "The caller has no claim:/none"),
        ("claim:/org/a", "string", "The caller has no claim:/org/a"),
        ("claim:/teams/2", "string", "The caller has no claim:/teams/2"),
        ("claim:/tenant", "integer", "The caller's claim:/tenant is not integer"),
        ("claim:/level", "string", "The caller's claim:/level is not string"),
        ("claim:/share", "integer", "The caller's claim:/share is not integer"),
        ("claim:/teams", "string", "The caller's claim:/teams is not string"),
        ("claim:/tenant", "array", "The caller's claim:/tenant is not a list of string"),
        ("claim:/ids", "array", "The caller's claim:/ids is not a list of string"),
    ])
    func aClaimThatIsNotThereIsNoNull(source: String, type: String, text: String) async throws {
        var argument: JSONObject = ["from": .string(source), "type": .string(type)]
        if type == "array" { argument["items"] = [:] }
        let statement = type == "array" ? "SELECT 1 AS x WHERE 'a' IN (:x)" : "SELECT :x AS x"
        let fixture = try await fixture([
            "who": ["statement": .string(statement), "arguments": ["x": .object(argument)]]
        ])
        let result = try await call(fixture, as: Self.ada)
        #expect(result.isError && result.text == text, "\(result.text)")
        // Credentials other than tokens have no claims.
        let cookie = try await call(fixture, as: fixture.alice.principal)
        #expect(cookie.isError && cookie.text == "The caller has no \(source)")
    }

    @Test(arguments: Engine.allCases)
    func scopesAndListsOfClaimsStandInIN(engine: Engine) async throws {
        let fixture = try await fixture(
            on: engine,
            [
                "who": [
                    "statement": """
                    SELECT name FROM project
                    WHERE (id = 1 AND 'chat' IN (:scopes)) OR (id = 2 AND 'admin' IN (:scopes)) OR id IN (:ids)
                        OR (id = 4 AND 'red' IN (:teams))
                    ORDER BY id
                    """,
                    "arguments": [
                        "scopes": ["from": "caller.scopes"],
                        "ids": ["type": "array", "items": ["type": "integer"], "from": "claim:/ids"],
                        "teams": ["type": "array", "items": [:], "from": "claim:/teams"],
                    ],
                ]
            ])
        let result = try await call(fixture, as: Self.ada)
        #expect(
            result.structuredContent?["results"]?.array?.compactMap { $0["name"]?.string } == [
                "Urgent 1", "Urgent 3", "Urgent 4",
            ])
    }

    @Test(arguments: Engine.allCases)
    func factsAreNeverPartOfTheStatement(engine: Engine) async throws {
        let fixture = try await fixture(
            on: engine,
            [
                "who": [
                    "statement": "SELECT name FROM project WHERE name = :id OR name = :name OR name = :tenant",
                    "arguments": [
                        "id": ["from": "caller.id"], "name": ["from": "caller.name"],
                        "tenant": ["from": "claim:/tenant"],
                    ],
                ]
            ])
        #expect(try await call(fixture, as: Self.eve).structuredContent == ["results": []])
        try await fixture.store.insert(projects: [("Eve\"; --", "")])
        let result = try await call(fixture, as: Self.eve)
        #expect(result.structuredContent == ["results": [["name": "Eve\"; --"]]])
    }

    @Test func theClaimsOfATokenReachTheStatement() async throws {
        let issuer = TestIssuer()
        let files = try TemporaryDatabase()
        let path = files.directory + "/keys.json"
        try Data(TestIssuer.set(issuer.ellipticKey)).write(to: URL(filePath: path))
        let settings: JSONObject = [
            "identity": ["jwt"], "publicURL": .string(TestIssuer.audience),
            "jwt": .object(TestIssuer.settings(["jwksFile": .string(path)])),
            "sqlTools": [
                "who": [
                    "statement": "SELECT :id AS id, :tenant AS tenant WHERE 'chat' IN (:scopes)",
                    "arguments": [
                        "id": ["from": "caller.id"], "tenant": ["from": "claim:/company/tenant"],
                        "scopes": ["from": "caller.scopes"],
                    ],
                ]
            ],
        ]
        try await ToolFixture.serving(settings) { client, _ in
            func who(_ changes: JSONObject) async throws -> HTTPTestResponse {
                let base: JSONObject = ["iat": .null, "exp": .number(Int(Date().timeIntervalSince1970) + 600)]
                let token = try issuer.token(TestIssuer.claims(base.merging(changes)))
                return try await client.post("/mcp/who", "", headers: [("Authorization", "Bearer \(token)")])
            }
            let known = try await who(["company": ["tenant": "acme"]])
            #expect(try known.json == ["results": [["id": "jwt:ada", "tenant": "acme"]]])
            #expect(try await who(["company": ["tenant": "acme"], "scope": "other"]).json == ["results": []])
            let missing = try await who([:])
            #expect(try missing.json["error"] == "The caller has no claim:/company/tenant")
            let anonymous = try await client.post("/mcp/who", "")
            #expect(try anonymous.json["error"] == "Not authenticated")
        }
    }

    private static let senseless: [(JSONObject, String)] = [
        (["from": "caller.email"], "a.from"), (["from": "claim:tenant"], "a.from"), (["from": "claim:/a~2"], "a.from"),
        (["from": "claim:/a~"], "a.from"), (["from": ""], "a.from"),
        (["from": "caller.id", "default": "x"], "a.default"),
        (["from": "caller.id", "optional": true], "a.optional"),
        (["from": "caller.id", "maxLength": 5], "a.maxLength"),
        (["from": "caller.name", "enum": ["x"]], "a.enum"), (["from": "caller.id", "type": "integer"], "a.type"),
        (["from": "caller.scopes", "type": "string"], "a.type"), (["from": "claim:/x", "minimum": 1], "a.minimum"),
        (["from": "claim:/x", "type": "array"], "a.items"),
    ]

    @Test(arguments: senseless)
    func sourcesThatMakeNoSenseAreRefused(argument: JSONObject, path: String) {
        let document: JSONValue = [
            "toolServer": [
                "sqlTools": ["find": ["statement": "SELECT :a AS x", "arguments": ["a": .object(argument)]]]
            ]
        ]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(
            errors?.description.contains("toolServer.sqlTools.find.arguments.\(path)") == true,
            "\(errors?.description ?? "")")
    }

    private static let senselessVariables: [(JSONValue, String)] = [
        (["app.user_id": "caller.id"], "sqlTools.find.session"),
        (["role": "caller.id"], "session.role"), (["app.": "caller.id"], "session.app."),
        (["app.a b": "caller.id"], "session.app.a b"), (["app.x": "alice"], "session.app.x"),
        (["app.x": 1], "session.app.x"),
        ("app.x", "sqlTools.find.session"), (["search_path": "caller.name"], "session.search_path"),
    ]

    @Test(arguments: senselessVariables)
    func variablesThatMakeNoSenseAreRefused(session: JSONValue, path: String) {
        // SQLite has none at all.
        let document: JSONValue = [
            "toolServer": ["sqlTools": ["find": ["statement": "SELECT 1 AS x", "session": session]]]
        ]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(errors?.description.contains(path) == true, "\(errors?.description ?? "")")
    }
}
