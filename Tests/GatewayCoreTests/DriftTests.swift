import JSON
import MCP
import MCPClient
import Testing

@testable import GatewayCore

@Suite struct DriftTests {
    private func findings(_ types: JSONValue, _ tools: [ToolDefinition]) throws -> [String] {
        let configuration = try TestConfiguration.read([
            "upstreams": ["tools": ["url": "http://127.0.0.1:1/"]], "chat": ["defaultType": "t", "types": types],
        ])
        let catalog = ToolCatalog(tools: tools, era: .legacy)
        return Drift.findings(configuration.chat.types, catalog).map { "\($0.kind.rawValue) \($0.argument ?? "-")" }
    }

    private func tool(_ schema: JSONValue) -> ToolDefinition { ToolDefinition(name: "tool", inputSchema: schema) }

    @Test func aToolThatIsGoneIsFound() throws {
        #expect(try findings(["t": ["tool": "other"]], [tool(["type": "object"])]) == ["missing_tool -"])
    }

    @Test func aRequiredArgumentThatNobodyFillsIsFound() throws {
        let schema: JSONValue = [
            "type": "object", "required": ["a", "b", "c", "d"],
            "properties": ["a": [:], "b": [:], "c": [:], "d": [:]],
        ]
        let types: JSONValue = [
            "t": ["tool": "tool", "arguments": ["a": [:], "b": ["required": false], "c": ["default": 1]]]
        ]
        #expect(try findings(types, [tool(schema)]) == ["unfilled_argument b", "unfilled_argument d"])
    }

    @Test func aSchemaThatCannotBeUsedIsFound() throws {
        for schema in [
            ["type": "object", "properties": ["a": ["$ref": "https://example.com/a.json"]]],
            ["type": "object", "allOf": .array([JSONValue](repeating: [:], count: 20_001))],
        ] as [JSONValue] {
            #expect(try findings(["t": ["tool": "tool"]], [tool(schema)]) == ["unchecked_arguments -"])
        }
    }

    @Test func aTypeMismatchIsFound() throws {
        let schema: JSONValue = [
            "type": "object",
            "properties": [
                "trimmed": ["type": "integer"], "constant": ["type": "string"], "fine": ["type": ["string", "null"]],
                "number": ["type": "number"], "coerced": ["type": "boolean"],
            ],
        ]
        let types: JSONValue = [
            "t": [
                "tool": "tool",
                "arguments": [
                    "trimmed": ["trim": true], "constant": ["value": 1], "fine": ["trim": true], "number": ["value": 1],
                    "coerced": ["coerce": "integer"],
                ],
            ]
        ]
        #expect(
            try findings(types, [tool(schema)])
                == ["type_mismatch trimmed", "type_mismatch constant", "type_mismatch coerced"])
    }

    @Test func anArgumentThatTheToolRefusesIsFound() throws {
        let schema: JSONValue = ["type": "object", "properties": [:], "additionalProperties": false]
        #expect(
            try findings(["t": ["tool": "tool", "arguments": ["x": [:]]]], [tool(schema)]) == ["unknown_argument x"])
        #expect(try findings(["t": ["tool": "tool", "arguments": ["x": [:]]]], [tool(["type": "object"])]) == [])
    }
}
