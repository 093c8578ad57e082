import Foundation
import JSON
import JSONConfiguration
import JSONSchema
import MCPServer
import Testing
import ToolServerTestSupport

@testable import ToolServerCore

@Suite struct SQLToolTests {
    private static let find: JSONObject = [
        "statement": """
        SELECT id, name, description AS note, id * 1.5 AS weight, id > 3 AS late FROM project
        WHERE length(replace(lower(name), lower(:text), '')) < length(name) AND id >= :first
            AND (:kind IS NULL OR description = :kind)
        ORDER BY id
        """,
        "title": "Find", "description": "Finds projects.",
        "arguments": [
            "text": ["description": "A part of the name."], "first": ["type": "integer", "default": 1],
            "kind": ["enum": ["planned", "done"], "optional": true],
        ],
        "columns": ["id": "integer", "name": "string", "note": "string", "weight": "number", "late": "boolean"],
        "limit": 3,
    ]

    private func fixture(on engine: Engine = .sqlite, tools: JSONObject) async throws -> ToolFixture {
        try await ToolFixture(on: engine, document: ["toolServer": ["sqlTools": .object(tools)]])
    }

    private func fixture(
        on engine: Engine = .sqlite, _ changes: JSONObject = [:], named name: String = "find"
    ) async throws -> ToolFixture {
        try await fixture(on: engine, tools: [name: .object(Self.find.merging(changes))])
    }

    @Test(arguments: Engine.allCases)
    func rowsBeyondTheBytesOfAResultAreLeftOut(engine: Engine) async throws {
        let statement: JSONValue = [
            "statement": "SELECT id, :text || CAST(id AS TEXT) AS long FROM project ORDER BY id", "limit": 7,
            "arguments": ["text": ["type": "string"]], "columns": ["id": "integer", "long": "string"],
        ]
        let fixture = try await fixture(on: engine, tools: ["long": statement])
        let cut = try await fixture.call("long", ["text": .string(String(repeating: "x", count: 2 << 20))])
        #expect(cut.structuredContent?["truncated"] == true)
        #expect(cut.structuredContent?["results"]?.array?.count == 3)
        let alone = try await fixture.call("long", ["text": .string(String(repeating: "x", count: 9 << 20))])
        #expect(alone.structuredContent == ["results": [], "truncated": true])
        let whole = try await fixture.call("long", ["text": "y"])
        #expect(whole.structuredContent?["results"]?.array?.count == 7)
        #expect(whole.structuredContent?["truncated"] == nil)
    }

    @Test(arguments: Engine.allCases)
    func aStatementIsAToolLikeAnyOther(engine: Engine) async throws {
        let fixture = try await fixture(on: engine)
        let tool = try #require(fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == "find" })
        #expect(tool.title == "Find")
        #expect(tool.description == "Finds projects.")
        #expect(tool.annotations?.readOnlyHint == true)
        #expect(
            tool.inputSchema == [
                "type": "object",
                "properties": [
                    "text": ["description": "A part of the name.", "type": "string"],
                    "first": ["type": "integer", "default": 1],
                    "kind": ["type": "string", "enum": ["planned", "done"]],
                ],
                "additionalProperties": false, "required": ["text"],
            ])
        let result = try await fixture.call("find", ["text": "urgent", "first": 3])
        let structured = try #require(result.structuredContent)
        #expect(
            structured == [
                "results": [
                    ["id": 3, "name": "Urgent 3", "note": "planned", "weight": 4.5, "late": false],
                    ["id": 4, "name": "Urgent 4", "note": "planned", "weight": 6.0, "late": true],
                    ["id": 5, "name": "Urgent 5", "note": "planned", "weight": 7.5, "late": true],
                ], "truncated": true,
            ])
        let schema = try JSONSchema(#require(tool.outputSchema))
        #expect(schema.validate(structured).isEmpty)
        #expect(try JSONValue(parsing: result.text) == structured)
        let rest = try await fixture.call("find", ["text": "urgent", "first": 6])
        #expect(rest.structuredContent?.object?.keys == ["results"])
        #expect(
            fixture.toolServer.metrics.registry.exposition().contains(
                #"tool_server_tool_calls_total{tool="find",outcome="ok"} 2"#))
    }

    @Test func typesComeFromTheStatementWhereNoneAreDeclared() async throws {
        let fixture = try await fixture(["columns": .null])
        let tool = try #require(fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == "find" })
        let fields = tool.outputSchema?["properties"]?["results"]?["items"]?["properties"]
        #expect(fields?["id"]?["type"] == ["integer", "null"])
        #expect(fields?["note"]?["type"] == ["string", "null"])
        #expect(fields?["weight"] == [:])
        let result = try await fixture.call("find", ["text": "Urgent 4"])
        #expect(result.structuredContent?["results"]?[0]?["late"] == 1)
    }

    @Test(arguments: Engine.allCases)
    func leftOutArgumentsAreNullOrTheirDefaults(engine: Engine) async throws {
        let fixture = try await fixture(on: engine)
        let planned = try await fixture.call("find", ["text": "Urgent 1", "kind": "planned"])
        #expect(planned.structuredContent?["results"]?.array?.count == 1)
        let done = try await fixture.call("find", ["text": "Urgent 1", "kind": "done"])
        #expect(done.structuredContent == ["results": []])
    }

    private static let unfitting: [JSONObject] = [
        [:], ["text": 1], ["text": .null], ["text": "a", "first": "1"], ["text": "a", "first": 1.5],
        ["text": "a", "first": true], ["text": "a", "kind": "other"], ["text": "a", "kind": "planned' OR 1=1 --"],
        ["text": "a", "more": 1], ["text": ["a"]],
    ]

    @Test(arguments: unfitting)
    func argumentsThatDoNotFitAreRefused(arguments: JSONObject) async throws {
        let fixture = try await fixture()
        await #expect(throws: ToolCallError.self) { try await fixture.call("find", arguments) }
    }

    @Test(arguments: Engine.allCases)
    func anIntegerOutOfRangeIsAnArgumentError(engine: Engine) async throws {
        let fixture = try await fixture(on: engine)
        for text in ["9223372036854775808", "1e30", "-9223372036854775809"] {
            let parsed = try JSONValue(parsing: #"{"text":"a","first":\#(text)}"#)
            let arguments = try #require(parsed.object)
            do {
                let result = try await fixture.call("find", arguments)
                #expect(result.isError && result.text.contains("first"))
            } catch let refusal as ToolCallError {
                #expect(refusal.description.contains("first"))
            }
        }
    }

    @Test(arguments: Engine.allCases, HostileTexts.sql)
    func valuesAreNeverPartOfTheStatement(engine: Engine, text: String) async throws {
        let type = engine == .sqlite ? "typeof(:text)" : "CAST(pg_typeof(:text) AS text)"
        let statement: JSONObject = [
            "statement": .string("SELECT :text AS text, :again AS again, \(type) AS type"),
            "arguments": ["text": [:], "again": ["default": .string(text)]],
        ]
        let fixture = try await fixture(on: engine, tools: ["give": .object(statement), "find": .object(Self.find)])
        let given = try await fixture.call("give", ["text": .string(text)])
        guard engine == .sqlite || !text.contains("\0") else {
            // PostgreSQL has no text with NUL in it.
            #expect(given.isError && given.text == "The statement of give failed")
            return
        }
        #expect(
            given.structuredContent == ["results": [["text": .string(text), "again": .string(text), "type": "text"]]])
        #expect(try await fixture.call("find", ["text": .string(text)]).structuredContent == ["results": []])
        #expect(try await fixture.store.column("SELECT CAST(count(*) AS text) FROM project") == ["7"])
    }

    private static let senseless: [(JSONObject, String)] = [
        (["statement": "DELETE FROM project"], "sqlTools.find.statement"),
        (["statement": "SELECT 1; SELECT 2"], "sqlTools.find.statement"),
        (["statement": "SELECT 1 AS x WHERE :nope"], "sqlTools.find.arguments.nope"),
        (["statement": "SELECT 1 AS x", "columns": .null], "sqlTools.find.arguments.text"),
        (["statement": "", "arguments": [:]], "sqlTools.find.statement"),
        (["limit": 0], "sqlTools.find.limit"), (["limit": 100_000], "sqlTools.find.limit"),
        (["timeout": "0s"], "sqlTools.find.timeout"), (["columns": ["id": "uuid"]], "sqlTools.find.columns"),
        (["columns": []], "sqlTools.find.columns"), (["colums": [:]], "sqlTools.find.colums"),
        (["arguments": ["text": ["type": "date"], "first": [:], "kind": [:]]], "arguments.text.type"),
        (["arguments": ["text": [:], "first": ["type": "integer", "default": "1"], "kind": [:]]], "first.default"),
        (["arguments": ["text": [:], "first": ["type": "integer", "enum": ["1"]], "kind": [:]]], "first.enum"),
        (["arguments": ["text": ["enum": ["a"], "default": "b"], "first": [:], "kind": [:]]], "text.default"),
    ]

    @Test(arguments: senseless)
    func aToolThatMakesNoSenseIsRefusedWithoutADatabase(changes: JSONObject, path: String) {
        let document: JSONValue = ["toolServer": ["sqlTools": ["find": .object(Self.find.merging(changes))]]]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(errors?.description.contains(path) == true, "\(errors?.description ?? "")")
    }

    private static let unfit: [(JSONObject, String)] = [
        (["statement": "WITH x AS (SELECT :text, :first, :kind) DELETE FROM project"], "only read"),
        (["statement": "SELECT nope AS id FROM project WHERE :text AND :first AND :kind"], "nope"),
        (["statement": "SELECT :text AS id, :first AS id, :kind AS x"], "a name each"),
        (["columns": ["id": "integer"]], "toolServer.sqlTools.find.columns"),
    ]

    @Test(arguments: unfit)
    func aStatementThatTheDatabaseDoesNotTakeIsRefusedAtTheStart(changes: JSONObject, told: String) async {
        let errors = await #expect(throws: ConfigurationErrors.self) { try await fixture(changes) }
        #expect(errors?.description.contains(told) == true, "\(errors?.description ?? "")")
    }

    @Test(arguments: ["search_any", "echo"])
    func aNameThatAnotherToolHasIsRefused(name: String) async {
        await #expect(throws: ConfigurationErrors.self) { try await fixture(named: name) }
    }

    @Test(arguments: ["", "a b", "a/b", "ü"])
    func namesThatClientsDoNotTakeAreRefused(name: String) async {
        await #expect(throws: ConfigurationErrors.self) { try await fixture(named: name) }
    }

    @Test func aStatementThatTakesTooLongIsAToolError() async throws {
        let endless: JSONObject = [
            "statement": """
            WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) AS n FROM x
            """, "timeout": "20ms",
        ]
        let fixture = try await fixture(tools: ["endless": .object(endless)])
        let result = try await fixture.call("endless")
        #expect(result.isError)
        #expect(result.text == "The database took too long")
        #expect(try await !fixture.call("search_projects", ["query": "u"]).isError)
    }

    @Test(
        arguments: Engine.allCases,
        [
            ("ALTER TABLE project RENAME TO gone", "ALTER TABLE gone RENAME TO project"),
            (
                "ALTER TABLE project RENAME COLUMN description TO gone",
                "ALTER TABLE project RENAME COLUMN gone TO description"
            ),
        ])
    func whatDisappearsIsAToolErrorUntilItIsBack(engine: Engine, example: (String, String)) async throws {
        let (change, undo) = example
        let fixture = try await fixture(on: engine)
        try await fixture.store.change(change)
        let result = try await fixture.call("find", ["text": "urgent"])
        #expect(result.isError)
        #expect(result.text == "The statement of find failed")
        try await fixture.store.change(undo)
        #expect(try await !fixture.call("find", ["text": "urgent"]).isError)
    }

    @Test func valuesOfAnotherTypeThanDeclaredAreTold() async throws {
        let fixture = try await fixture(tools: [
            "odd": ["statement": "SELECT 'many' AS n", "columns": ["n": "integer"]],
            "even": [
                "statement": "SELECT '12' AS n, 7 AS t, NULL AS z",
                "columns": ["n": "integer", "t": "string", "z": "string"],
            ],
        ])
        let odd = try await fixture.call("odd")
        #expect(odd.isError && odd.text.contains("n"))
        let even = try await fixture.call("even")
        #expect(even.structuredContent == ["results": [["n": 12, "t": "7", "z": .null]]])
    }

    @Test func anExternalDatabaseIsReadByStatementsAlone() async throws {
        let legacy = try LegacyDatabase()
        let configuration = try legacy.configuration(
            [
                "messages": [:], "identity": ["builtin"],
                "sqlTools": ["count": ["statement": "SELECT count(*) AS n FROM psm_project"]],
            ], models: [:])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: .init(label: "test"))
        let result = try await toolServer.server.call(tool: "count", arguments: [:], principal: nil)
        #expect(result.structuredContent?["results"]?[0]?["n"]?.int ?? 0 > 5)
        await toolServer.shutdown()
    }
}
