import JSON
import Testing

@testable import APIImport

@Suite("Schemas of OpenAPI documents stand alone") struct OpenAPISchemasTests {
    /// The schema of the argument `body` for the component `A`.
    static func schema(_ components: String) throws -> (schema: JSONValue, notes: [String]) {
        let (tool, notes) = try ImportedDocument.tool(
            """
            /a:
              post:
                requestBody:
                  content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/A"}}}}
                responses: {}
            """, "components: {schemas: {\(components)}}")
        return (try #require(tool["inputSchema"]?["properties"]?["body"]?["items"]), notes)
    }

    @Test(arguments: [
        ("A: {type: number, minimum: 1, exclusiveMinimum: true}", #"{"type":"number","exclusiveMinimum":1}"#),
        ("A: {type: string, enum: [a], nullable: true}", #"{"type":["string","null"],"enum":["a",null]}"#),
        ("A: {type: [string, \"null\"], const: x}", #"{"type":["string","null"],"const":"x"}"#),
        (
            "A: {allOf: [{$ref: \"#/components/schemas/B\"}, {required: [y], properties: {y: {type: integer}}}]}, "
                + "B: {type: object, required: [x], properties: {x: {type: string}}}",
            #"{"type":"object","required":["x","y"],"properties":{"x":{"type":"string"},"y":{"type":"integer"}}}"#
        ),
        ("A: {oneOf: [{type: string}, {type: integer}]}", #"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#),
        (
            "A: {$ref: \"#/components/schemas/B\"}, B: {type: boolean, title: Flag, xml: {}, example: true}",
            #"{"type":"boolean","description":"Flag"}"#
        ),
        (
            "A: {type: object, additionalProperties: {type: integer}}",
            #"{"type":"object","additionalProperties":{"type":"integer"}}"#
        ),
    ])
    func dialects(components: String, expected: String) throws {
        let (schema, notes) = try Self.schema(components)
        #expect(try schema == JSONValue(parsing: expected))
        #expect(notes.isEmpty, "\(notes)")
    }

    @Test func aSchemaThatContainsItselfIsCut() throws {
        let (schema, notes) = try Self.schema(
            "A: {type: object, properties: {child: {$ref: \"#/components/schemas/A\"}, n: {type: integer}}}")
        #expect(
            try schema
                == JSONValue(
                    parsing:
                        #"{"type":"object","properties":{"child":{"type":"object"},"n":{"type":"integer"}}}"#))
        #expect(notes.contains { $0.contains("contains itself") })
    }

    @Test func circlesOfReferencesAndOfAllOfEnd() throws {
        for components in [
            "A: {$ref: \"#/components/schemas/B\"}, B: {$ref: \"#/components/schemas/A\"}",
            "A: {allOf: [{$ref: \"#/components/schemas/A\"}]}",
            "A: {allOf: [{$ref: \"#/components/schemas/B\"}]}, B: {allOf: [{$ref: \"#/components/schemas/A\"}]}",
        ] {
            let (_, notes) = try Self.schema(components)
            #expect(!notes.isEmpty)
        }
    }

    @Test func aSchemaThatGrowsWithoutEndIsCut() throws {
        let levels = (0..<30).map { level in
            let next = "{$ref: \"#/components/schemas/L\(level + 1)\"}"
            return "L\(level): {type: object, properties: {a: \(next), b: \(next)}}"
        }
        let (schema, notes) = try Self.schema(
            "A: {$ref: \"#/components/schemas/L0\"}, " + levels.joined(separator: ", ") + ", L30: {type: string}")
        #expect(schema.serialized.count < 100_000)
        #expect(notes.contains { $0.contains("too large") })
    }

    @Test func referencesThatLeadNowhereAreListed() throws {
        for (reference, reason) in [
            ("#/components/schemas/Missing", "leads nowhere"), ("https://example.com/a.yaml#/A", "network"),
            ("//example.com/a.yaml", "network"), ("../outside.yaml#/A", "out of the document's directory"),
            ("/etc/hostname#/A", "out of the document's directory"), ("missing.yaml#/A", "no such file"),
            ("#anchor", "no JSON pointer"),
        ] {
            let (schema, notes) = try Self.schema("A: {$ref: \"\(reference)\"}")
            #expect(schema == [:])
            #expect(notes.contains { $0.contains(reason) }, "\(reference): \(notes)")
        }
    }

    @Test func filesBesideTheDocumentAreRead() throws {
        let (section, notes) = try ImportedDocument.openAPI([
            ("api.yaml", ImportedDocument.document("/a: {$ref: \"paths/a.yaml#/item\"}")),
            ("paths/a.yaml", "item: {get: {$ref: get.json}}"),
            (
                "paths/get.json",
                #"{"operationId":"a","parameters":[{"$ref":"../shared.yaml#/parameters/limit"}],"responses":{}}"#
            ),
            (
                "shared.yaml",
                "parameters: {limit: {name: limit, in: query, schema: {$ref: \"#/sizes/small\"}}}\nsizes: {small: {type: integer}}"
            ),
        ])
        #expect(section["tools"]?["a"]?["inputSchema"]?["properties"] == ["limit": ["type": "integer"]])
        #expect(notes.isEmpty, "\(notes)")
    }

    @Test func patternsThatAreNoneAreLeftOut() throws {
        let (schema, notes) = try Self.schema("A: {type: string, pattern: \"[a\"}")
        #expect(schema == ["type": "string"])
        #expect(notes.contains { $0.contains("pattern") })
    }
}
