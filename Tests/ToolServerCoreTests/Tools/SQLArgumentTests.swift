import Foundation
import JSON
import JSONConfiguration
import MCP
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Store
@testable import ToolServerCore

/// Bounds on arguments of SQL tools: lists, dates, ranges, patterns.
@Suite struct SQLArgumentTests {
    private func fixture(
        on engine: Engine = .sqlite, _ statement: String, _ arguments: JSONObject, columns: JSONObject? = nil
    ) async throws -> ToolFixture {
        var tool: JSONObject = ["statement": .string(statement), "arguments": .object(arguments)]
        tool["columns"] = columns.map { .object($0) }
        return try await ToolFixture(on: engine, document: ["toolServer": ["sqlTools": ["find": .object(tool)]]])
    }

    private func names(_ result: CallToolResult) -> [String] {
        #expect(!result.isError, "\(result.text)")
        return result.structuredContent?["results"]?.array?.compactMap { $0["name"]?.string } ?? []
    }

    // MARK: Lists

    private static let byID = "SELECT name FROM project WHERE id IN (:ids) ORDER BY id"
    private static let ids: JSONObject = [
        "ids": ["type": "array", "items": ["type": "integer", "minimum": 1], "maxItems": 5, "optional": true]
    ]

    @Test(arguments: Engine.allCases)
    func aListIsBoundWhole(engine: Engine) async throws {
        let fixture = try await fixture(on: engine, Self.byID, Self.ids)
        let schema = try #require(fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == "find" })
            .inputSchema["properties"]?["ids"]
        #expect(schema == ["type": "array", "items": ["type": "integer", "minimum": 1], "maxItems": 5])
        #expect(try await names(fixture.call("find", ["ids": [3, 1, 3]])) == ["Urgent 1", "Urgent 3"])
        #expect(try await names(fixture.call("find", ["ids": [7]])) == ["Urgent 7"])
        #expect(try await names(fixture.call("find", ["ids": []])) == [])
        #expect(try await names(fixture.call("find")) == [])
        #expect(try await names(fixture.call("find", ["ids": [9_223_372_036_854_775_807]])) == [])
        // The same statement with other lengths, again and again.
        for count in [1, 5, 2, 0, 4] {
            let ids = (0..<count).map { JSONValue.number($0 + 1) }
            #expect(try await names(fixture.call("find", ["ids": .array(ids)])).count == count)
        }
    }

    @Test(arguments: Engine.allCases)
    func nothingIsInAnEmptyListAndEverythingOutsideOfIt(engine: Engine) async throws {
        let fixture = try await fixture(
            on: engine, "SELECT name FROM project WHERE name NOT IN (:names) ORDER BY id",
            ["names": ["type": "array", "items": [:], "default": ["Urgent 1", "Urgent 2"]]])
        #expect(try await names(fixture.call("find", ["names": []])).count == 7)
        #expect(try await names(fixture.call("find")).count == 5)
        #expect(try await names(fixture.call("find", ["names": ["Urgent 7"]])).last == "Urgent 6")
    }

    @Test(arguments: Engine.allCases, HostileTexts.sql + ["[\"a\"]", "{}", "\\u0041", "a\",\"b", "null"])
    func elementsAreNeverPartOfTheStatement(engine: Engine, text: String) async throws {
        let fixture = try await fixture(
            on: engine, "SELECT name FROM project WHERE name IN (:names) ORDER BY id",
            ["names": ["type": "array", "items": [:]]])
        let result = try await fixture.call("find", ["names": [.string(text), "Urgent 2"]])
        if text.contains("\0") {
            #expect(result.isError && result.text == "Invalid arguments: names: out of range")
            return
        }
        #expect(names(result) == ["Urgent 2"])
        try await fixture.store.insert(projects: [(text, "")])
        #expect(try await names(fixture.call("find", ["names": [.string(text)]])) == [text])
        #expect(try await fixture.store.column("SELECT CAST(count(*) AS text) FROM project") == ["8"])
    }

    @Test(arguments: Engine.allCases)
    func elementsHaveTheTypeThatTheyAreDeclaredAs(engine: Engine) async throws {
        let fixture = try await fixture(
            on: engine,
            """
            SELECT name FROM project
            WHERE id * 0.5 IN (:halves) AND (id > 2) IN (:late) AND '2026-01-0' || id IN (:days) ORDER BY id
            """,
            [
                "halves": ["type": "array", "items": ["type": "number"]],
                "late": ["type": "array", "items": ["type": "boolean"]],
                "days": ["type": "array", "items": [:]],
            ])
        let arguments: JSONObject = ["halves": [0.5, 1.5, 2], "late": [true], "days": ["2026-01-03", "2026-01-01"]]
        #expect(try await names(fixture.call("find", arguments)) == ["Urgent 3"])
    }

    private static let unfittingLists: [JSONValue] = [
        1, "1", [:], [0], [1, -1], ["1"], [1.5], [[1]], [.null], .null, [1, 2, 3, 4, 5, 6], [true],
    ]

    @Test(arguments: unfittingLists)
    func listsThatDoNotFitAreRefused(list: JSONValue) async throws {
        let fixture = try await fixture(Self.byID, Self.ids)
        await #expect(throws: ToolCallError.self) { try await fixture.call("find", ["ids": list]) }
    }

    @Test func anElementThatNoIntegerHoldsIsAnArgumentError() async throws {
        let fixture = try await fixture(Self.byID, Self.ids)
        let list = try JSONValue(parsing: "[1,9223372036854775808]")
        let result = try await fixture.call("find", ["ids": list])
        #expect(result.isError && result.text == "Invalid arguments: ids: out of range")
    }

    // MARK: Dates

    @Test(arguments: Engine.allCases)
    func datesAndInstantsAreComparedAsSuch(engine: Engine) async throws {
        let (day, instant) =
            engine == .sqlite
            ? ("date(:day) || ' ' || :day", ":at") : ("CAST(:day AS text)", "to_char(:at, 'YYYY-MM-DD HH24:MI:SS.US')")
        let fixture = try await fixture(
            on: engine, "SELECT \(day) AS day, \(instant) AS at",
            ["day": ["format": "date", "optional": true], "at": ["format": "date-time", "optional": true]])
        func row(_ arguments: JSONObject) async throws -> JSONValue? {
            try await fixture.call("find", arguments).structuredContent?["results"]?[0]
        }
        let leap = try await row(["day": "2024-02-29", "at": "2026-01-31T23:30:00.1234567-02:00"])
        #expect(leap?["day"]?.string?.hasSuffix("2024-02-29") == true)
        #expect(leap?["at"]?.string == "2026-02-01 01:30:00.123456")
        let whole = try await row(["at": "2026-01-31t08:00:00z"])
        #expect(whole?["at"]?.string?.hasPrefix("2026-01-31 08:00:00") == true)
        #expect(whole?["day"] == .null)
        let second = try await row(["at": "2026-12-31T23:59:60Z"])
        #expect(second?["at"]?.string?.hasPrefix("2027-01-01 00:00:00") == true)
        for (name, text) in [
            ("day", "0000-01-01"), ("at", "0001-01-01T00:00:00+01:00"), ("at", "9999-12-31T23:59:59-01:00"),
        ] {
            let result = try await fixture.call("find", [name: .string(text)])
            #expect(result.isError && result.text == "Invalid arguments: \(name): out of range")
        }
    }

    @Test(arguments: Engine.allCases)
    func listsOfDaysAndInstantsAreBoundAsSuch(engine: Engine) async throws {
        let column =
            engine == .sqlite
            ? "'2026-01-0' || id || ' 08:00:00'" : "'2026-01-01 08:00:00+00'::timestamptz + (id - 1) * interval '1 day'"
        let fixture = try await fixture(
            on: engine, "SELECT name FROM project WHERE \(column) IN (:at) ORDER BY id",
            ["at": ["type": "array", "items": ["format": "date-time"]]])
        let arguments: JSONObject = ["at": ["2026-01-02T10:00:00+02:00", "2026-01-04T08:00:00Z"]]
        #expect(try await names(fixture.call("find", arguments)) == ["Urgent 2", "Urgent 4"])
    }

    // MARK: Bounds

    private static let bounded: JSONObject = [
        "amount": ["type": "integer", "minimum": 1, "maximum": 100],
        "share": ["type": "number", "minimum": 0.5, "optional": true],
        "code": ["pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 6, "minLength": 4, "optional": true],
        "level": ["type": "integer", "enum": [1, 2, 5], "optional": true],
        "day": ["format": "date", "optional": true],
    ]
    private static let give =
        "SELECT :amount AS amount, :share AS share, :code AS code, :level AS level, :day AS day FROM project WHERE id = 1"

    @Test func modelsSeeTheBounds() async throws {
        let fixture = try await fixture(Self.give, Self.bounded)
        let properties = try #require(fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == "find" })
            .inputSchema["properties"]
        #expect(
            properties == [
                "amount": ["type": "integer", "minimum": 1, "maximum": 100],
                "share": ["type": "number", "minimum": 0.5],
                "code": ["type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 6, "minLength": 4],
                "level": ["type": "integer", "enum": [1, 2, 5]], "day": ["type": "string", "format": "date"],
            ])
    }

    private static let beyond: [JSONObject] = [
        ["amount": 0], ["amount": 101], ["amount": 1e300], ["amount": 1, "share": 0.4], ["amount": 1, "code": "AB-"],
        ["amount": 1, "code": "AB-12345"], ["amount": 1, "code": "xx AB-1"], ["amount": 1, "level": 3],
        ["amount": 1, "level": "1"], ["amount": 1, "day": "2026-02-29"], ["amount": 1, "day": "today"],
        ["amount": 1, "day": "2026-01-31'--"],
    ]

    @Test(arguments: beyond)
    func whatIsOutOfBoundsNeverReachesTheDatabase(arguments: JSONObject) async throws {
        let fixture = try await fixture(Self.give, Self.bounded)
        // Whatever would reach the statement would fail there.
        try await fixture.store.change("ALTER TABLE project RENAME TO gone")
        await #expect(throws: ToolCallError.self) { try await fixture.call("find", arguments) }
        let within = try await fixture.call("find", ["amount": 100])
        #expect(within.text == "The statement of find failed")
    }

    @Test(arguments: Engine.allCases)
    func whatIsWithinTheBoundsIsBound(engine: Engine) async throws {
        let fixture = try await fixture(on: engine, Self.give, Self.bounded)
        let given: JSONObject = ["amount": 100, "share": 0.5, "code": "AB-123", "level": 5, "day": "2026-01-31"]
        #expect(try await fixture.call("find", given).structuredContent == ["results": [.object(given)]])
    }

    private static let senseless: [(JSONObject, String)] = [
        (["type": "string", "minimum": 1], "a.minimum"), (["type": "integer", "maxLength": 1], "a.maxLength"),
        (["type": "integer", "pattern": "x"], "a.pattern"), (["type": "integer", "format": "date"], "a.format"),
        (["type": "boolean", "enum": [true]], "a.enum"), (["enum": []], "a.enum"), (["enum": [1]], "a.enum"),
        (["enum": "x"], "a.enum"), (["type": "integer", "enum": [1.5]], "a.enum"),
        (["type": "integer", "minimum": 2, "maximum": 1], "a.minimum"),
        (["minLength": 2, "maxLength": 1], "a.minLength"), (["minLength": -1], "a.minLength"),
        (["pattern": "("], "a.pattern"), (["pattern": "(?=x)y"], "a.pattern"), (["pattern": "(x)\\1"], "a.pattern"),
        (["format": "time"], "a.format"), (["minimum": "1", "type": "integer"], "a.minimum"),
        (["type": "integer", "minimum": 1, "default": 0], "a.default"),
        (["format": "date", "default": "x"], "a.default"),
        (["format": "date", "default": "0000-01-01"], "a.default"), (["items": [:]], "a.items"),
        (["maxItems": 5], "a.maxItems"), (["type": "array"], "a.items"),
        (["type": "array", "items": [:], "minItems": 101], "a.minItems"),
        (["type": "array", "items": [:], "maxItems": 0], "a.maxItems"),
        (["type": "array", "items": [:], "maxItems": 10_001], "a.maxItems"),
        (["type": "array", "items": [:], "minimum": 1], "a.minimum"),
        (["type": "array", "items": ["minimum": 1]], "a.items.minimum"),
        (["type": "array", "items": ["type": "array"]], "a.items.type"),
        (["type": "array", "items": [:], "default": [1]], "a.default"),
    ]

    @Test(arguments: senseless)
    func boundsThatMakeNoSenseAreRefused(argument: JSONObject, path: String) {
        let isList = argument["type"] == "array"
        let tool: JSONValue = [
            "statement": .string("SELECT 1 AS x WHERE \(isList ? "1 IN (:a)" : ":a IS NULL")"),
            "arguments": ["a": .object(argument)],
        ]
        let document: JSONValue = ["toolServer": ["sqlTools": ["find": tool]]]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(
            errors?.description.contains("toolServer.sqlTools.find.arguments.\(path)") == true,
            "\(errors?.description ?? "")")
    }

    @Test func aListInAnotherPlaceIsRefused() {
        let document: JSONValue = [
            "toolServer": [
                "sqlTools": [
                    "find": [
                        "statement": "SELECT :a AS x", "arguments": ["a": ["type": "array", "items": [:]]],
                    ]
                ]
            ]
        ]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(errors?.description.contains("the list :a stands elsewhere than in IN (:a)") == true)
    }
}
