import JSON
import Testing

@testable import JSONSchema

@Suite("The check without a tree agrees with the tree")
struct SchemaQuickTests {
    static let schema: JSONValue = [
        "type": "object",
        "properties": [
            "query": ["type": "string", "minLength": 1, "maxLength": 5, "description": "x"],
            "model": ["type": "string", "enum": ["project", "document"]],
            "limit": ["type": "integer", "minimum": 1, "maximum": 50],
            "ratio": ["type": "number"],
            "flag": ["type": ["boolean", "null"]],
            "filter": ["type": "object", "properties": ["a": ["type": "string"]]],
        ],
        "required": ["query"],
        "additionalProperties": false,
    ]

    static func quick(_ schema: JSONValue, _ text: String) throws -> JSONSchemaQuickResult? {
        let schema = try JSONSchema(schema)
        return try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return schema.quickValidate(object: try scanner.document(), in: bytes)
        }
    }

    @Test(
        "verdicts",
        arguments: [
            #"{"query":"x"}"#, #"{"query":"xxxxx","model":"document","limit":50,"ratio":1.5,"flag":null}"#,
            #"{}"#, #"{"query":1}"#, #"{"query":""}"#, #"{"query":"\u0061bcdef"}"#, #"{"query":"\ud83d\ude00bcde"}"#,
            #"{"query":"x","model":"user"}"#, #"{"query":"x","model":1}"#, #"{"query":"x","limit":0}"#,
            #"{"query":"x","limit":1.5}"#, #"{"query":"x","limit":2.0}"#, #"{"query":"x","limit":"2"}"#,
            #"{"query":"x","flag":0}"#, #"{"query":"x","other":1}"#, #"{"query":"x","filter":{"a":1}}"#,
            #"{"query":"x","filter":{"a":"b"}}"#, #"{"query":1,"query":"x"}"#, #"{"\u0071uery":"x"}"#,
            #"{"query":"x","ratio":"y"}"#,
        ])
    func agreement(text: String) throws {
        let violations = try JSONSchema(Self.schema).validate(JSONValue(parsing: text))
        switch try Self.quick(Self.schema, text) {
        case nil: break
        case .valid?: #expect(violations.isEmpty)
        case .violation(let violation)?: #expect(violations.contains(violation), "\(violation) not in \(violations)")
        }
    }

    @Test("plain cases are decided")
    func decided() throws {
        #expect(try Self.quick(Self.schema, #"{"query":"x","limit":3,"model":"project"}"#) == .valid)
        guard case .violation(let violation)? = try Self.quick(Self.schema, "{}") else {
            Issue.record("undecided")
            return
        }
        #expect(violation.message == "missing required property 'query'")
    }

    @Test("what is beyond it is left to the tree")
    func undecided() throws {
        #expect(try Self.quick(Self.schema, #"{"query":"x","filter":{}}"#) == nil)
        #expect(try Self.quick(Self.schema, #"{"query":"x","query":"y"}"#) == nil)
        #expect(try Self.quick(["type": "object", "minProperties": 1], "{}") == nil)
        #expect(try Self.quick(["additionalProperties": ["type": "string"]], #"{"a":1}"#) == nil)
        #expect(try Self.quick(["type": "string"], "{}") == nil)
        #expect(try Self.quick(["type": "object"], "{}") == .valid)
        #expect(try Self.quick(["type": "object"], "[]") == nil)
        #expect(try Self.quick(["required": ["a"], "additionalProperties": false], #"{"a":1}"#) == nil)
    }
}
