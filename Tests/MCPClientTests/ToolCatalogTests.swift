import JSON
import JSONSchema
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
        #expect(modern.warnings.map(\.tool) == ["bad"])
        #expect(ToolCatalog(tools: tools, era: .legacy).entries.count == 2)
    }

    @Test func aToolWhoseSchemaCannotBeUsedIsCallableAndSaysSo() {
        let hostile: JSONValue = ["allOf": .array([JSONValue](repeating: [:], count: 20_001))]
        let catalog = ToolCatalog(
            tools: [Self.tool("hostile", hostile), Self.tool("good", Self.schema([:]))], era: .legacy)
        #expect(catalog["hostile"]?.inputSchema == nil)
        #expect(catalog["good"]?.inputSchema != nil)
        #expect(catalog.warnings.map(\.kind) == [.unchecked])
        #expect(catalog.warnings.map(\.tool) == ["hostile"])
    }

    @Test func allSchemasOfAListShareOneBudget() {
        let schema = Self.schema(["a": ["type": "string"], "b": ["type": "integer"]])
        let tools = (0..<100).map { Self.tool("t\($0)", schema) }
        let catalog = ToolCatalog(tools: tools, era: .legacy, budget: JSONSchemaBudget(steps: 1_000, bytes: 1 << 20))
        #expect(catalog.entries.count == 100)
        #expect(catalog["t0"]?.inputSchema != nil)
        #expect(catalog["t99"]?.inputSchema == nil)
        #expect(catalog.warnings.count <= 100)
    }

    @Test func toolsAreToldApartByteByByte() {
        let catalog = ToolCatalog(
            tools: [Self.tool("\u{E9}", [:]), Self.tool("e\u{301}", ["type": "object"])], era: .legacy)
        #expect(catalog.entries.count == 2)
        #expect(catalog["e\u{301}"]?.definition.inputSchema == ["type": "object"])
        #expect(catalog["e"] == nil)
    }
}

@Suite struct CatalogPagesTests {
    static func tool(_ name: String) -> String { #"{"name":"\#(name)","inputSchema":{"type":"object"}}"# }

    static func take(_ page: String, _ pages: inout CatalogPages) throws -> CatalogPages.Step {
        var copy = pages
        defer { pages = copy }
        return try Array(page.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return copy.take(try scanner.document(), in: bytes)
        }
    }

    @Test func aCursorThatWasSentBeforeEndsTheList() throws {
        for cursor in ["", "same"] {
            var pages = CatalogPages(.init(tools: 100, bytes: 10_000))
            let page = #"{"tools":[\#(Self.tool("a"))],"nextCursor":"\#(cursor)"}"#
            #expect(try Self.take(page, &pages) == .next(cursor))
            #expect(try Self.take(page, &pages) == .end)
            #expect(pages.warnings.map(\.kind) == [.cut])
        }
    }

    @Test func cursorsThatAlternateEndTheListToo() throws {
        var pages = CatalogPages(.init(tools: 100, bytes: 10_000))
        #expect(try Self.take(#"{"tools":[],"nextCursor":"1"}"#, &pages) == .next("1"))
        #expect(try Self.take(#"{"tools":[],"nextCursor":"2"}"#, &pages) == .next("2"))
        #expect(try Self.take(#"{"tools":[],"nextCursor":"1"}"#, &pages) == .end)
    }

    @Test func aListWithoutAnotherCursorEndsWithoutAWarning() throws {
        for end in [#"{"tools":[]}"#, #"{"tools":[],"nextCursor":null}"#, #"{"tools":[],"nextCursor":7}"#] {
            var pages = CatalogPages(.init(tools: 100, bytes: 10_000))
            #expect(try Self.take(end, &pages) == .end)
            #expect(pages.warnings.isEmpty)
        }
    }

    @Test func aPageWithoutToolsIsNone() throws {
        for page in ["{}", #"{"tools":{}}"#, "[]", "1"] {
            var pages = CatalogPages(.init(tools: 100, bytes: 10_000))
            #expect(try Self.take(page, &pages) == .invalid)
        }
    }

    @Test func theWholeListIsBounded() throws {
        let page = { (number: Int) in
            #"{"tools":[\#(Self.tool("a\(number)")),\#(Self.tool("b\(number)"))],"nextCursor":"\#(number)"}"#
        }
        for limits in [
            CatalogPages.Limits(pages: 3, tools: 1_000, bytes: 1 << 20), .init(tools: 5, bytes: 1 << 20),
            .init(tools: 1_000, bytes: 250), .init(pages: 1_000, tools: 1_000, bytes: 1 << 20, cursorBytes: 3),
        ] {
            var pages = CatalogPages(limits)
            var number = 0
            while try Self.take(page(number), &pages) != .end, number < 100 { number += 1 }
            #expect(number < 100)
            #expect(!pages.tools.isEmpty)
            #expect(pages.tools.count <= limits.tools)
            #expect(pages.warnings.map(\.kind) == [.cut])
        }
    }

    // MARK: Lists that are as they were

    private static func pages(_ texts: [String], former: CatalogPages? = nil) throws -> CatalogPages {
        var pages = CatalogPages(.init(tools: 100, bytes: 10_000), former: former)
        for text in texts { _ = try take(text, &pages) }
        return pages
    }

    @Test func pagesThatAreAsTheyWereAreNotReadAgain() throws {
        let one = #"{"tools":[\#(Self.tool("a"))],"ttlMs":9000,"nextCursor":"1"}"#
        let two = #"{"tools":[\#(Self.tool("b")),\#(Self.tool("c"))]}"#
        let other = #"{"tools":[\#(Self.tool("d"))]}"#
        let former = try Self.pages([one, two])
        #expect(former.pagesRead == 2 && !former.isUnchanged)
        let same = try Self.pages([one, two], former: former)
        #expect(same.pagesRead == 0 && same.isUnchanged)
        #expect(same.tools == former.tools && same.sources == former.sources)
        #expect(same.footprint == former.footprint && same.lifetime == .seconds(9))
        for (texts, read, names) in [
            ([one, other], 1, ["a", "d"]), ([other], 1, ["d"]), ([two], 1, ["b", "c"]), ([one], 0, ["a"]),
            ([#"{"tools":[\#(Self.tool("e"))],"nextCursor":"1"}"#, two], 2, ["e", "b", "c"]),
        ] {
            let pages = try Self.pages(texts, former: former)
            #expect(pages.pagesRead == read && !pages.isUnchanged, "\(texts)")
            #expect(pages.tools.map(\.name) == names)
        }
    }

    @Test func aCursorThatComesAgainEndsAListThatIsAsItWasToo() throws {
        let page = #"{"tools":[\#(Self.tool("a"))],"nextCursor":"x"}"#
        let former = try Self.pages([page, page])
        var pages = CatalogPages(.init(tools: 100, bytes: 10_000), former: former)
        #expect(try Self.take(page, &pages) == .next("x"))
        #expect(try Self.take(page, &pages) == .end)
        #expect(pages.warnings == former.warnings && pages.pagesRead == 0)
    }

    @Test func lifetimesAreBounded() throws {
        for (text, expected) in [
            ("9223372036854775807", Duration?.none), ("-1", .none), ("1e400", .none), ("1e15", .seconds(86_400)),
            ("5000", .seconds(5)), ("\"5\"", .none),
        ] {
            var pages = CatalogPages(.init(tools: 100, bytes: 10_000))
            #expect(try Self.take(#"{"tools":[],"ttlMs":\#(text)}"#, &pages) == .end)
            #expect(pages.lifetime == expected, "\(text)")
        }
    }
}
