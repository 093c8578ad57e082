import JSON
import Testing

@testable import MCP

@Suite("Mirrored header values")
struct HeaderTests {
    @Test(
        "are encoded exactly when they must be",
        arguments: [
            ("us-west1", "us-west1"), ("", ""), ("a b", "a b"), ("~!@#", "~!@#"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="), (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?open", "=?base64?open"), ("a\tb", "=?base64?YQli?="), ("\u{7F}", "=?base64?fw==?="),
            ("=?BASE64?x?=", "=?BASE64?x?="), ("=?base64?=", "=?base64?="),
        ])
    func encoding(text: String, expected: String) {
        #expect(MCPHeader.encodeValue(text) == expected)
        #expect(MCPHeader.decodeValue(expected) == text)
    }

    @Test(
        "are decoded strictly",
        arguments: [
            ("  x \t", "x"), ("=?base64?YQ==?=", "a"), ("=?base64??=", ""), ("=?base64?YQ=?=", nil),
            ("=?base64?YQ?=", nil),
            ("=?base64?YR==?=", nil), ("=?base64?Y Q=?=", nil), ("=?base64?_w==?=", nil), ("=?base64?/w==?=", nil),
            ("=?base64?=YQ=?=", nil), ("=?base64?Y===?=", nil), ("é", nil), ("a\u{0}b", nil), ("a\tb", "a\tb"),
        ] as [(String, String?)])
    func decoding(value: String, expected: String?) {
        #expect(MCPHeader.decodeValue(value) == expected)
    }

    @Test("base64 of every length, and back")
    func base64() {
        let known = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE="]
        for (text, encoded) in known { #expect(Base64.encode(text.utf8) == encoded) }
        for length in 0...70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
            #expect(Base64.decode(Base64.encode(bytes).utf8) == bytes)
        }
    }

    @Test("Base64 URL text round-trips, and nothing else decodes")
    func base64URL() {
        for length in 0..<40 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        for text in ["A", "AAAAA", "A=", "A+", "AB", "\u{E9}"] { #expect(Base64URL.decode(text) == nil, "\(text)") }
    }
}

@Suite("Parameters mirrored into headers")
struct ToolHeaderParametersTests {
    static let schema: JSONValue = [
        "type": "object",
        "properties": [
            "region": ["type": "string", "x-mcp-header": "Region"],
            "place": ["type": "object", "properties": ["floor": ["type": "integer", "x-mcp-header": "Floor"]]],
            "dry": ["type": ["boolean", "null"], "x-mcp-header": "Dry-Run"],
            "x-mcp-header": ["type": "number"],
        ],
    ]

    @Test("values are found at their path and encoded")
    func headers() throws {
        let parameters = try ToolHeaderParameters(inputSchema: Self.schema)
        let arguments: JSONObject = ["region": "süd", "place": ["floor": 42.0], "dry": true]
        let headers = parameters.headers(for: arguments)
        let expected = [
            "Mcp-Param-Region": "=?base64?c8O8ZA==?=", "Mcp-Param-Floor": "42", "Mcp-Param-Dry-Run": "true",
        ]
        #expect(Dictionary(headers.map { ($0.name, $0.value) }) { $1 } == expected)
        var scanned: [(name: String, value: String)] = []
        try arguments.serialized.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            scanned = parameters.headers(for: try scanner.document(), in: bytes)
        }
        #expect(Dictionary(scanned.map { ($0.name, $0.value) }) { $1 } == expected)
    }

    @Test("null and absent values have no header, an empty string an empty one")
    func absent() throws {
        let parameters = try ToolHeaderParameters(inputSchema: Self.schema)
        #expect(parameters.headers(for: [:]).isEmpty)
        #expect(parameters.headers(for: ["dry": nil, "place": 1]).isEmpty)
        #expect(parameters.headers(for: ["region": ""]).map(\.value) == [""])
    }

    @Test(
        "headers and body must agree",
        arguments: [
            (#"{"region":"a"}"#, ["mcp-param-region": "a"], true), (#"{"region":"a"}"#, [:], false),
            (#"{"region":"a"}"#, ["mcp-param-region": "A"], false), ("{}", ["mcp-param-region": "a"], false),
            ("{}", [:], true), (#"{"region":null}"#, [:], true),
            (#"{"region":"ü"}"#, ["mcp-param-region": "=?base64?w7w=?="], true),
            (#"{"region":"ü"}"#, ["mcp-param-region": "=?base64?w7w?="], false),
            (#"{"region":"1.0"}"#, ["mcp-param-region": "1"], false),
            (#"{"place":{"floor":42}}"#, ["mcp-param-floor": "42.0"], true),
            (#"{"place":{"floor":42}}"#, ["mcp-param-floor": "43"], false),
            (#"{"dry":false}"#, ["mcp-param-dry-run": "false"], true),
            (#"{"dry":false}"#, ["mcp-param-dry-run": "0"], false),
            (#"{"region":""}"#, ["mcp-param-region": ""], true),
            (#"{"region":"=?base64?x"}"#, ["mcp-param-region": "=?base64?x"], true),
            (#"{"region":" a "}"#, ["mcp-param-region": " a "], false),
            (#"{"place":{"floor":42}}"#, ["mcp-param-floor": "0x2a"], false),
            (#"{"region":"a"}"#, ["mcp-param-region": "a", "mcp-param-other": "x"], true),
        ] as [(String, [String: String], Bool)])
    func agreement(body: String, headers: [String: String], agrees: Bool) throws {
        let parameters = try ToolHeaderParameters(inputSchema: Self.schema)
        let arguments = try #require(JSONValue(parsing: body).object)
        let mismatch = parameters.mismatch(with: arguments) { headers[$0.lowercased()].map { [$0] } ?? [] }
        #expect((mismatch == nil) == agrees, "\(mismatch ?? "")")
    }

    @Test("a header that comes twice agrees with nothing")
    func twice() throws {
        let parameters = try ToolHeaderParameters(inputSchema: Self.schema)
        #expect(parameters.mismatch(with: ["region": "a"]) { $0 == "Mcp-Param-Region" ? ["a", "a"] : [] } != nil)
    }

    @Test(
        "invalid annotations are refused",
        arguments: [
            #"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
            #"{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
            #"{"properties":{"a":{"type":"string","x-mcp-header":"a\r\nb"}}}"#,
            #"{"properties":{"a":{"type":"string","x-mcp-header":"é"}}}"#,
            #"{"properties":{"a":{"type":"string","x-mcp-header":1}}}"#,
            #"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#,
            #"{"properties":{"a":{"type":"object","x-mcp-header":"A"}}}"#,
            #"{"properties":{"a":{"x-mcp-header":"A"}}}"#,
            #"{"properties":{"a":{"type":["string","integer"],"x-mcp-header":"A"}}}"#,
            #"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
            #"{"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}}"#,
            #"{"properties":{"a":{"anyOf":[{"type":"string","x-mcp-header":"A"}]}}}"#,
            #"{"$defs":{"a":{"type":"string","x-mcp-header":"A"}}}"#,
            #"{"allOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
            #"{"then":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#,
            #"{"type":"string","x-mcp-header":"A"}"#,
        ])
    func invalid(schema: String) throws {
        let schema = try JSONValue(parsing: schema)
        #expect(throws: ToolHeaderParameters.InvalidAnnotation.self) { try ToolHeaderParameters(inputSchema: schema) }
    }

    @Test("values that only look like annotations are none")
    func lookalikes() throws {
        let schema: JSONValue = [
            "properties": ["a": ["const": ["x-mcp-header": "A"], "default": ["x-mcp-header": ""]]],
            "examples": [["x-mcp-header": ""]],
        ]
        #expect(try ToolHeaderParameters(inputSchema: schema).isEmpty)
    }
}
