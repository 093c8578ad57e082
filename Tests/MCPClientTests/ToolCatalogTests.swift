import JSON
import MCP
import Testing

@testable import MCPClient

@Suite struct ToolCatalogTests {
    static func tool(_ name: String, _ schema: JSONValue) -> ToolDefinition {
        ToolDefinition(name: name, inputSchema: schema)
    }

    static func schema(_ properties: JSONValue) -> JSONValue { ["type": "object", "properties": properties] }

    @Test func annotationsAndSchemasAreAtHand() {
        var read = Self.tool("read", Self.schema(["q": ["type": "string"]]))
        read.annotations = ToolAnnotations(readOnlyHint: true)
        var again = Self.tool("again", Self.schema([:]))
        again.annotations = ToolAnnotations(idempotentHint: true)
        let write = Self.tool("write", Self.schema([:]))
        let catalog = ToolCatalog(tools: [read, again, write], era: .legacy)
        #expect(catalog["read"]?.mayRunTwice == true)
        #expect(catalog["again"]?.mayRunTwice == true)
        #expect(catalog["write"]?.mayRunTwice == false)
        #expect(catalog["other"] == nil)
        #expect(catalog["read"]?.inputSchema?.validate(["q": 1]).isEmpty == false)
        #expect(catalog.entries.map(\.definition.name) == ["read", "again", "write"])
    }

    @Test func markedParametersAreMirrored() throws {
        let schema = Self.schema([
            "region": ["type": "string", "x-mcp-header": "Region"],
            "nested": ["type": "object", "properties": ["n": ["type": "integer", "x-mcp-header": "Num"]]],
            "flag": ["type": "boolean", "x-mcp-header": "Flag"], "plain": ["type": "string"],
        ])
        let parameters = try MirroredParameter.all(in: schema)
        let arguments: JSONValue = ["region": " é", "nested": ["n": 42], "flag": false, "plain": "x"]
        let headers = parameters.compactMap { $0.header(for: arguments) }.map { "\($0.name): \($0.value)" }
        #expect(
            headers.sorted() == ["Mcp-Param-Flag: false", "Mcp-Param-Num: 42", "Mcp-Param-Region: =?base64?IMOp?="])
        #expect(parameters.allSatisfy { $0.header(for: ["region": nil]) == nil })
        #expect(parameters.compactMap { $0.header(for: ["region": ""]) }.map(\.value) == [""])
    }

    @Test(
        arguments: [
            ["a": ["type": "string", "x-mcp-header": ""]],
            ["a": ["type": "string", "x-mcp-header": "a b"]],
            ["a": ["type": "string", "x-mcp-header": 7]],
            ["a": ["type": "number", "x-mcp-header": "A"]],
            ["a": ["x-mcp-header": "A"]],
            ["a": ["type": "string", "x-mcp-header": "A"], "b": ["type": "string", "x-mcp-header": "a"]],
            ["a": ["type": "array", "items": ["type": "string", "x-mcp-header": "A"]]],
            ["a": ["anyOf": [["type": "string", "x-mcp-header": "A"]]]],
        ] as [JSONValue])
    func aToolWithAnInvalidAnnotationIsDroppedInTheModernEraOnly(_ properties: JSONValue) {
        let tools = [Self.tool("bad", Self.schema(properties)), Self.tool("good", Self.schema([:]))]
        let modern = ToolCatalog(tools: tools, era: .modern)
        #expect(modern.entries.map(\.definition.name) == ["good"])
        #expect(modern.dropped.map(\.name) == ["bad"])
        #expect(ToolCatalog(tools: tools, era: .legacy).entries.count == 2)
    }

    @Test func dataThatLooksLikeAnAnnotationIsNone() throws {
        let schema = Self.schema([
            "a": ["type": "object", "default": ["x-mcp-header": "A"], "const": ["x-mcp-header": "B"]],
            "x-mcp-header": ["type": "string"],
        ])
        #expect(try MirroredParameter.all(in: schema).isEmpty)
    }
}
