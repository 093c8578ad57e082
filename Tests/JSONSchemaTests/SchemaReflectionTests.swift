import JSON
import Testing

@testable import JSONSchema

@Suite("Schemas follow from types")
struct SchemaReflectionTests {
    enum Model: String, Codable, CaseIterable { case project, document }
    enum Level: Int, Codable, CaseIterable { case low = 1, high }

    struct Filter: Codable {
        var tags: [String]
        var since: Double?
    }

    struct Search: Codable, JSONSchemaDocumented {
        var query: String
        var model: Model
        var level: Level?
        var limit: Int?
        var filter: Filter?
        var weights: [String: Double]
        var flags: Set<Bool>
        var extra: JSONValue
        var nullable: Int?

        static var schemaDocumentation: [String: JSONSchemaProperty] {
            [
                "query": JSONSchemaProperty("What to look for", title: "Query", minLength: 1, header: "Query"),
                "limit": JSONSchemaProperty("Most results", minimum: 1, maximum: 50, default: 5),
                "model": "Where to look",
            ]
        }
    }

    @Test("a structure with everything in it")
    func structure() throws {
        let schema = try JSONSchemaReflection.schema(of: Search.self)
        let expected = try JSONValue(
            parsing: #"""
                {"type":"object","properties":{
                  "query":{"title":"Query","description":"What to look for","type":"string","minLength":1,
                    "x-mcp-header":"Query"},
                  "model":{"description":"Where to look","type":"string","enum":["project","document"]},
                  "level":{"type":"integer","enum":[1,2]},
                  "limit":{"description":"Most results","type":"integer","minimum":1,"maximum":50,"default":5},
                  "filter":{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"}},
                    "since":{"type":"number"}},"required":["tags"]},
                  "weights":{"type":"object","additionalProperties":{"type":"number"}},
                  "flags":{"type":"array","items":{"type":"boolean"},"uniqueItems":true},
                  "extra":{},"nullable":{"type":"integer"}},
                 "required":["query","model","weights","flags","extra"]}
                """#)
        #expect(schema == expected)
        #expect(schema.text == expected.text, "members in the order of the declaration")
    }

    @Test("values of the type obey its schema, and the schema compiles")
    func consistency() throws {
        let schema = try JSONSchema(JSONSchemaReflection.schema(of: Search.self))
        let search = Search(
            query: "x", model: .project, level: .high, limit: 3, filter: Filter(tags: ["a"]), weights: ["a": 0.5],
            flags: [true], extra: [1])
        #expect(schema.validate(try JSONValue(encoding: search)).isEmpty)
        #expect(schema.validate(["query": 1]).map(\.message).contains("query: expected string, found number"))
    }

    @Test("scalars, lists and types known at run time")
    func others() throws {
        #expect(try JSONSchemaReflection.schema(of: [Int].self) == ["type": "array", "items": ["type": "integer"]])
        #expect(try JSONSchemaReflection.schema(of: UInt8.self) == ["type": "integer", "minimum": 0])
        #expect(try JSONSchemaReflection.schema(of: Int?.self) == ["type": ["integer", "null"]])
        let type: any Decodable.Type = Filter.self
        #expect(try JSONSchemaReflection.schema(of: type)["required"] == ["tags"])
        struct Nothing: Decodable {}
        struct Empty: Decodable {
            enum CodingKeys: CodingKey {}
            init(from decoder: any Decoder) throws { _ = try decoder.container(keyedBy: CodingKeys.self) }
        }
        #expect(try JSONSchemaReflection.schema(of: Empty.self) == ["type": "object", "properties": [:]])
        #expect(try JSONSchemaReflection.schema(of: Nothing.self) == ["type": "object", "properties": [:]])
    }

    @Test("wrapped values take the schema of what they wrap")
    func wrapped() throws {
        struct Name: RawRepresentable, Codable { var rawValue: String }
        struct Person: Codable { var name: Name; var friends: [Filter] }
        let schema = try JSONSchemaReflection.schema(of: Person.self)
        #expect(schema["properties"]?["name"] == ["type": "string"])
        #expect(schema["properties"]?["friends"]?["items"]?["required"] == ["tags"])
    }

    @Test("types that write their own schema are asked")
    func providing() throws {
        struct Port: Decodable, JSONSchemaProviding {
            static var jsonSchema: JSONValue { ["type": "integer", "minimum": 1] }
            init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer().decode(Int.self)
                guard value > 0 else { throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "0")) }
            }
        }
        struct Server: Decodable { var port: Port; var name: String }
        let schema = try JSONSchemaReflection.schema(of: Server.self)
        #expect(schema["properties"]?["port"] == ["type": "integer", "minimum": 1])
        #expect(schema["required"] == ["port", "name"])
    }

    @Test("what has no simple schema is refused by name")
    func refused() {
        struct Node: Decodable { var children: [Node] }
        enum Shape: Decodable { case circle(Double), square }
        struct Picky: Decodable {
            init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer().decode(String.self)
                guard value.count > 3 else {
                    throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "short"))
                }
            }
        }
        for type in [Node.self, Shape.self, Picky.self] as [any Decodable.Type] {
            #expect(throws: JSONSchemaReflectionError.self) { try JSONSchemaReflection.schema(of: type) }
        }
    }
}
