import JSON
import Testing

@testable import JSONSchema

@Suite("JSON Schema 2020-12")
struct SchemaTests {
    static func messages(_ schema: String, _ value: String) throws -> [String] {
        try JSONSchema(JSONValue(parsing: schema)).validate(JSONValue(parsing: value)).map(\.message)
    }

    @Test(
        "arguments are refused with messages that name the field",
        arguments: [
            (#"{"type":"object"}"#, "[]", "expected object, found array"),
            (#"{"properties":{"query":{"type":"string"}}}"#, #"{"query":3}"#, "query: expected string, found number"),
            (#"{"required":["query"]}"#, "{}", "missing required property 'query'"),
            (
                #"{"properties":{"f":{"required":["x"]}}}"#, #"{"f":{}}"#, "f: missing required property 'x'"
            ),
            (
                #"{"properties":{"f":{"properties":{"tags":{"items":{"type":"string"}}}}}}"#,
                #"{"f":{"tags":["a",null]}}"#, "f.tags[1]: expected string, found null"
            ),
            (#"{"additionalProperties":false,"properties":{"a":true}}"#, #"{"b":1}"#, "unknown property 'b'"),
            (
                #"{"properties":{"n":{"type":"integer"}}}"#, #"{"n":1.5}"#, "n: expected integer, found 1.5"
            ),
            (
                #"{"properties":{"n":{"type":["string","null"]}}}"#, #"{"n":[]}"#,
                "n: expected string or null, found array"
            ),
            (
                #"{"properties":{"n":{"anyOf":[{"type":"string"},{"type":"null"}]}}}"#, #"{"n":1}"#,
                "n: expected string or null, found number"
            ),
            (
                #"{"properties":{"m":{"enum":["project","document"]}}}"#, #"{"m":"user"}"#,
                #"m: expected one of "project", "document", found "user""#
            ),
            (#"{"const":1}"#, "2", "expected 1, found 2"),
            (#"{"properties":{"q":{"minLength":1}}}"#, #"{"q":""}"#, "q: expected at least 1 character, found 0"),
            (#"{"maxLength":2}"#, #""abc""#, "expected at most 2 characters, found 3"),
            (#"{"minimum":0}"#, "-1", "expected at least 0, found -1"),
            (#"{"exclusiveMaximum":5}"#, "5", "expected less than 5, found 5"),
            (#"{"pattern":"^a+$"}"#, #""b""#, #"expected text that matches ^a+$, found "b""#),
            (#"{"minItems":2}"#, "[1]", "expected at least 2 elements, found 1"),
            (#"{"uniqueItems":true}"#, "[1,1.0]", "expected distinct elements"),
            (#"{"maxProperties":1}"#, #"{"a":1,"b":2}"#, "expected at most 1 property, found 2"),
            (#"false"#, "1", "no value is allowed here"),
            (
                #"{"anyOf":[{"type":"string"},{"type":"object","required":["a"]}]}"#, "{}",
                "missing required property 'a'"
            ),
        ])
    func messages(schema: String, value: String, expected: String) throws {
        #expect(try Self.messages(schema, value) == [expected])
    }

    @Test("violations carry pointer, field and keyword")
    func violations() throws {
        let schema = try JSONSchema(["properties": ["a/b": ["items": ["type": "string"]]]])
        let violation = try #require(schema.validate(["a/b": ["x", 1]]).first)
        #expect(violation.pointer == "/a~1b/1")
        #expect(violation.field == "a/b[1]")
        #expect(violation.keyword == "type")
    }

    @Test("all violations are reported, up to twenty")
    func many() throws {
        let schema = try JSONSchema(["items": ["type": "string"]])
        #expect(schema.validate(.array([1, 2, "x", 3])).count == 3)
        #expect(schema.validate(.array(Array(repeating: 1, count: 100))).count == 20)
        #expect(!schema.isValid([1]))
        #expect(schema.isValid(["a"]))
    }

    /// Schema, valid instances, invalid instances.
    static let cases: [(String, [String], [String])] = [
        ("true", ["1", "null", "{}"], []),
        ("false", [], ["1", "null", "{}"]),
        ("{}", ["1", "{}"], []),
        (#"{"type":"integer"}"#, ["1", "1.0", "-3e2", "12345678901234567890"], ["1.5", "\"1\"", "true", "null"]),
        (#"{"type":"number"}"#, ["1", "1.5"], ["\"1\"", "[]"]),
        (#"{"type":["boolean","array"]}"#, ["true", "[]"], ["{}", "0", "null"]),
        (#"{"enum":[1,"a",null,{"x":[1]}]}"#, ["1.0", "\"a\"", "null", #"{"x":[1e0]}"#], ["2", "\"b\"", "false"]),
        (#"{"const":{"a":1,"b":2}}"#, [#"{"b":2,"a":1}"#], [#"{"a":1}"#, "1"]),
        (#"{"const":false}"#, ["false"], ["0", "null"]),
        (#"{"minimum":1.5,"maximum":3}"#, ["1.5", "3", "2", "\"x\""], ["1.49", "3.01"]),
        (#"{"exclusiveMinimum":0}"#, ["0.1"], ["0", "-1"]),
        (#"{"multipleOf":0.01}"#, ["4.35", "1", "\"x\""], ["0.001"]),
        (#"{"minLength":2,"maxLength":2}"#, ["\"😀é\"", "1"], ["\"a\"", "\"abc\""]),
        (#"{"pattern":"\\d{2,}"}"#, ["\"ab12c\"", "5"], ["\"1a2\""]),
        (
            #"{"properties":{"a":{"type":"string"},"b":false}}"#, [#"{"a":"x"}"#, #"{"c":1}"#, "[]"],
            [#"{"a":1}"#, #"{"b":1}"#]
        ),
        (
            #"{"properties":{"a":true},"patternProperties":{"^x-":{"type":"integer"}},"additionalProperties":false}"#,
            [#"{"a":1,"x-b":2}"#], [#"{"b":1}"#, #"{"x-b":"s"}"#]
        ),
        (
            #"{"additionalProperties":{"type":"boolean"},"properties":{"a":true}}"#, [#"{"a":1,"b":true}"#],
            [#"{"b":1}"#]
        ),
        (#"{"propertyNames":{"maxLength":3}}"#, [#"{"abc":1}"#], [#"{"abcd":1}"#]),
        (#"{"minProperties":1}"#, [#"{"a":1}"#, "[]"], ["{}"]),
        (#"{"dependentRequired":{"a":["b"]}}"#, [#"{"a":1,"b":1}"#, #"{"b":1}"#], [#"{"a":1}"#]),
        (
            #"{"dependentSchemas":{"a":{"required":["c"]}}}"#, [#"{"a":1,"c":1}"#, "{}"], [#"{"a":1}"#]
        ),
        (#"{"dependencies":{"a":["b"],"c":{"required":["d"]}}}"#, [#"{"a":1,"b":1}"#], [#"{"a":1}"#, #"{"c":1}"#]),
        (#"{"items":{"type":"integer"}}"#, ["[1,2]", "[]", "{}"], ["[1,\"a\"]"]),
        (
            #"{"prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}"#, [#"["a",1]"#, #"["a"]"#],
            [#"[1]"#, #"["a",1,2]"#]
        ),
        (
            #"{"items":[{"type":"string"}],"additionalItems":{"type":"null"}}"#, [#"["a",null]"#], [#"["a",1]"#, "[1]"]
        ),
        (#"{"contains":{"const":1}}"#, ["[0,1]"], ["[]", "[0]"]),
        (#"{"contains":{"const":1},"minContains":2,"maxContains":3}"#, ["[1,1]", "[1,1,1,2]"], ["[1]", "[1,1,1,1]"]),
        (#"{"contains":{"const":1},"minContains":0}"#, ["[]"], []),
        (#"{"uniqueItems":true}"#, [#"[1,"1",[1],{"a":1}]"#], [#"[{"a":1,"b":2},{"b":2,"a":1}]"#, "[0,-0.0]"]),
        (#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, ["1", "2"], ["0", "3"]),
        (#"{"anyOf":[{"minimum":10},{"maximum":2}]}"#, ["1", "11"], ["5"]),
        (#"{"oneOf":[{"minimum":1},{"maximum":5}]}"#, ["0", "6"], ["3"]),
        (#"{"not":{"type":"string"}}"#, ["1"], ["\"x\""]),
        (
            #"{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}"#,
            [#"{"a":1,"b":1}"#, #"{"c":1}"#], [#"{"a":1}"#, "{}"]
        ),
        (#"{"if":{"const":1}}"#, ["1", "2"], []),
        (
            ##"{"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}}}},"$ref":"#/$defs/node"}"##,
            [#"{"next":{"next":{}}}"#], [#"{"next":{"next":1}}"#]
        ),
        (##"{"$defs":{"s":{"$anchor":"text","type":"string"}},"$ref":"#text"}"##, ["\"x\""], ["1"]),
        (##"{"definitions":{"a~/b":{"type":"string"}},"$ref":"#/definitions/a~0~1b"}"##, ["\"x\""], ["1"]),
        (##"{"$ref":"#/$defs/a%25b","$defs":{"a%b":{"type":"null"}}}"##, ["null"], ["1"]),
        (
            ##"{"$id":"https://example.com/s","$defs":{"x":{"$id":"https://example.com/x","$ref":"#/$defs/y","##
                + #""$defs":{"y":{"type":"string"}}}},"$ref":"https://example.com/x"}"#,
            ["\"s\""], ["1"]
        ),
        (##"{"$ref":"#/properties/a","properties":{"a":{"type":["object","string"]}}}"##, ["\"s\""], ["1"]),
        (#"{"format":"email","title":"x","x-own":1}"#, ["\"no\""], []),
    ]

    @Test("keywords mean what the specification says", arguments: cases)
    func keywords(schema: String, valid: [String], invalid: [String]) throws {
        let compiled = try JSONSchema(JSONValue(parsing: schema))
        for text in valid {
            let violations = compiled.validate(try JSONValue(parsing: text))
            #expect(violations.isEmpty, "\(text): \(violations)")
        }
        for text in invalid { #expect(!compiled.isValid(try JSONValue(parsing: text)), "accepted \(text)") }
    }

    @Test(
        "references out of the document are refused at compile time, never fetched",
        arguments: [
            "https://example.com/schema.json", "other.json", "#/$defs/missing", "#nowhere", "http://localhost/#/a",
        ])
    func references(reference: String) {
        let schema: JSONValue = ["properties": ["a": ["$ref": .string(reference)]]]
        #expect(throws: JSONSchemaError.unsupportedReference(reference, at: "#/properties/a")) {
            try JSONSchema(schema)
        }
    }

    @Test(
        "malformed schemas are refused with their place",
        arguments: [
            (#"{"type":"strin"}"#, "#/type"), (#"{"properties":{"a":{"minLength":-1}}}"#, "#/properties/a/minLength"),
            (#"{"required":"a"}"#, "#/required"), (#"{"items":1}"#, "#/items"), (#"{"pattern":"("}"#, "#/pattern"),
            (#"{"multipleOf":0}"#, "#/multipleOf"), (#"{"enum":1}"#, "#/enum"), ("3", "#"),
            (##"{"allOf":[1]}"##, "#/allOf/0"), (##"{"$ref":1}"##, "#/$ref"),
        ])
    func malformed(schema: String, place: String) throws {
        let error = #expect(throws: JSONSchemaError.self) { try JSONSchema(JSONValue(parsing: schema)) }
        guard case .invalid(let location, _) = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(location == place)
    }

    @Test("a schema that refers to itself without a step into the value demands nothing there")
    func endless() throws {
        for schema in [
            ##"{"$ref":"#"}"##, ##"{"anyOf":[{"$ref":"#"},{"type":"string"}]}"##,
            ##"{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"$ref":"#/$defs/a"}}}"##,
        ] {
            let loop = try JSONSchema(JSONValue(parsing: schema))
            #expect(loop.verdict(on: 1) == .valid, "\(schema)")
            #expect(loop.isValid(["a": [1, 2]]))
        }
        let beside = try JSONSchema(["$ref": "#", "type": "object", "properties": ["a": ["$ref": "#"]]])
        #expect(beside.isValid(["a": ["a": ["a": [:]]]]))
        #expect(beside.validate(["a": ["a": 1]]).map(\.message) == ["a.a: expected object, found number"])
    }

    @Test("a schema that refers to its own contrary decides nothing")
    func contrary() throws {
        let schema = try JSONSchema(["not": ["$ref": "#"]])
        #expect(schema.verdict(on: 1) == .undecided(reason: "the schema contradicts itself"))
        #expect(!schema.isValid(1))
        #expect(schema.validate(1).map(\.keyword) == ["$schema"])
    }

    @Test("recursion that follows the value goes as deep as the value")
    func recursionOfTheValue() throws {
        let schema = try JSONSchema(
            JSONValue(parsing: ##"{"anyOf":[{"type":"null"},{"allOf":[{"items":{"$ref":"#"},"type":"array"}]}]}"##))
        let depth = 64
        let deep = try JSONValue(parsing: String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        #expect(schema.verdict(on: deep) == .valid)
    }

    @Test("exponential schemas hit the step bound instead of hanging")
    func exponential() throws {
        var definitions: JSONObject = ["d0": ["type": "string"]]
        for level in 1...40 {
            let reference: JSONValue = ["$ref": .string("#/$defs/d\(level - 1)")]
            definitions["d\(level)"] = ["anyOf": [reference, reference]]
        }
        let schema = try JSONSchema(["$defs": .object(definitions), "$ref": "#/$defs/d40"])
        #expect(schema.isValid("x"))
        #expect(schema.validate(1).map(\.message) == ["the value is too large to be validated"])
        #expect(schema.verdict(on: 1) == .undecided(reason: "the value is too large to be validated"))
    }

    static func object(_ name: String, _ value: JSONValue) -> JSONValue { .object(JSONObject([(name, value)])) }

    @Test("a long name beside many values costs the name once")
    func longNames() throws {
        let name = String(repeating: "n", count: 1 << 20)
        let numbers = [JSONValue](repeating: ["anyOf": [["type": "string"], ["const": 1]]], count: 6_000)
        let schema = try JSONSchema(["properties": Self.object(name, ["prefixItems": .array(numbers)])])
        let value: JSONValue = Self.object(name, .array([JSONValue](repeating: 2, count: 6_000)))
        let violations = schema.validate(value)
        #expect(violations.count == 20)
        #expect(violations.allSatisfy { $0.message.utf8.count < 500 && $0.pointer.utf8.count < 500 })
        let unchecked = [JSONValue](repeating: ["unevaluatedItems": false], count: 6_000)
        let other = try JSONSchema(["properties": Self.object(name, ["prefixItems": .array(unchecked)])])
        #expect(other.uncheckedKeywords.count == 100)
        #expect(other.uncheckedKeywords.allSatisfy { $0.utf8.count < 500 })
    }

    @Test("schemas beyond their budget do not compile, whatever they are large in")
    func budget() throws {
        let texts = (0..<40_000).map { JSONValue.string("name \($0)") }
        let schemas: [JSONValue] = [
            ["allOf": .array([JSONValue](repeating: [:], count: 20_001))],
            ["enum": .array([JSONValue](repeating: .string(String(repeating: "x", count: 6_400)), count: 11_000))],
            ["allOf": .array([JSONValue](repeating: ["required": .array(texts)], count: 30))],
            [
                "allOf": .array(
                    [JSONValue](repeating: ["pattern": .string(String(repeating: "a|", count: 900))], count: 600))
            ],
        ]
        for schema in schemas { #expect(throws: JSONSchemaError.tooLarge) { try JSONSchema(schema) } }
    }

    @Test("many schemas share a budget, and one that breaks it does not take the others' part")
    func sharedBudget() throws {
        var budget = JSONSchemaBudget(steps: 3_000_000, bytes: 1 << 30)
        let hostile: JSONValue = ["allOf": .array([JSONValue](repeating: [:], count: 20_001))]
        #expect(throws: JSONSchemaError.tooLarge) { try JSONSchema(hostile, sharing: &budget) }
        let schema = try JSONSchema(["type": "string"], sharing: &budget)
        #expect(!schema.isValid(1))
        #expect(budget.steps < 3_000_000)
    }

    @Test(
        "checks beyond their budget are not decided",
        arguments: [
            (#"{"enum":["a","b","c","d","e","f","g"]}"#, #""X""#),
            (#"{"required":["a","b","c","d","e","f","g","h","i"]}"#, #"{"a":0}"#),
            (#"{"pattern":"^(x{0,500})*$"}"#, #""xxxxxxxxxxxxxxxxxxxx!""#),
            (#"{"multipleOf":3}"#, "1" + String(repeating: "0", count: 500)),
            (#"{"const":"a"}"#, "\"" + String(repeating: "x", count: 5_000) + "\""),
            (#"{"uniqueItems":true}"#, "[" + String(repeating: "1,", count: 20) + "1]"),
            (#"{"properties":{"a":true}}"#, "{\"" + String(repeating: "n", count: 2_000) + "\":1}"),
            (#"{"dependentRequired":{"a":["b","c","d","e","f","g","h"]}}"#, #"{"a":1}"#),
        ])
    func evaluationBudget(schema: String, element: String) throws {
        let value = JSONValue.array([JSONValue](repeating: try JSONValue(parsing: element), count: 100))
        let schema = try JSONSchema(["contains": JSONValue(parsing: schema), "minContains": 0])
        let small = JSONSchemaBudget(steps: 800, bytes: 1 << 20)
        guard case .undecided = schema.verdict(on: value, budget: small) else {
            Issue.record("decided")
            return
        }
        #expect(schema.verdict(on: value) == .valid)
    }

    @Test("names and texts are told apart byte by byte")
    func bytes() throws {
        let (one, two) = ("\u{E9}", "e\u{301}")
        let schema = try JSONSchema([
            "properties": Self.object(one, ["type": "string"]), "additionalProperties": false,
        ])
        #expect(schema.isValid(Self.object(one, "x")))
        #expect(!schema.isValid(Self.object(two, "x")))
        #expect(try !JSONSchema(["const": .string(one)]).isValid(.string(two)))
        #expect(try !JSONSchema(["enum": [.string(one)]]).isValid(.string(two)))
    }

    @Test("keywords inside data are none, and properties may be called like keywords")
    func namesOfProperties() throws {
        let schema = try JSONSchema(
            JSONValue(
                parsing: ##"{"properties":{"default":{"$anchor":"here","type":"string"},"a":{"$ref":"#here"}},"##
                    + ##""const":{"default":"x","a":"y"},"default":{"$anchor":"here"}}"##))
        #expect(schema.isValid(["default": "x", "a": "y"]))
        #expect(
            try !JSONSchema(["properties": ["default": ["$anchor": "h", "type": "string"]], "$ref": "#h"]).isValid(1))
    }

    @Test("what cannot be checked is listed and counts as satisfied")
    func unchecked() throws {
        let schema = try JSONSchema(["pattern": "^(?!x)", "unevaluatedProperties": false])
        #expect(schema.uncheckedKeywords == ["#/pattern", "#/unevaluatedProperties"])
        #expect(schema.isValid("x"))
    }

    @Test("a definition inside a document can be the schema")
    func definition() throws {
        let document: JSONValue = ["$defs": ["A": ["$ref": "#/$defs/B"], "B": ["type": "string"]]]
        #expect(try JSONSchema(document, at: "#/$defs/A").isValid("x"))
        #expect(try !JSONSchema(document, at: "#/$defs/A").isValid(1))
        #expect(throws: JSONSchemaError.self) { try JSONSchema(document, at: "#/$defs/C") }
    }
}
