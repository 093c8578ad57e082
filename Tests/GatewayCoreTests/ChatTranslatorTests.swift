import JSON
import NIOCore
import Testing

@testable import GatewayCore

/// Payload in, tool and arguments (or the error) out.
@Suite struct ChatTranslatorTests {
    private func translate(_ body: String, _ types: TypeMap) -> Result<ChatTranslator.Call, GatewayError> {
        var translator = ChatTranslator(types)
        return translator.translate(ByteBuffer(string: body))
    }

    /// `tool arguments`, or `label: text`.
    private func outcome(_ body: String, _ types: TypeMap) -> String {
        switch translate(body, types) {
        case .success(let call): "\(call.type.tool) \(String(buffer: call.arguments))"
        case .failure(let error): "\(error.label.rawValue): \(error.message)"
        }
    }

    @Test(arguments: [
        (
            #"{"type":"search_any","model":"projects","query":"urgent"}"#,
            #"search_any {"model":"projects","query":"urgent"}"#
        ),
        // The tool's order, whatever the payload's; unknown fields stay behind.
        (
            #"{"query":"q","x":[1,{"model":2}],"model":"m","type":"search_any"}"#,
            #"search_any {"model":"m","query":"q"}"#
        ),
        (#"{"type":"get_user_info","username":"bob"}"#, "get_user_info {}"),
        (#"{"message":"hello"}"#, #"chat {"message":"hello"}"#),
        (#"{"type":"ai_prompt","message":" hi "}"#, #"ai_prompt {"prompt":"hi"}"#),
        // Values go upstream byte for byte: escapes, numbers, other kinds.
        (#"{"type":"search_projects","query":"\u0141 \"x\""}"#, #"search_projects {"query":"\u0141 \"x\""}"#),
        (#"{"type":"search_projects","query":1.50}"#, #"search_projects {"query":1.50}"#),
        (#"{"type":"search_projects","query":{"a": 1}}"#, #"search_projects {"query":{"a": 1}}"#),
        (#"{"type":"search_projects","query":"   "}"#, #"search_projects {"query":"   "}"#),
        // Of duplicates the last counts, whatever its key is spelt like.
        (#"{"type":"nope","type":"chat","message":"a","message":"b"}"#, #"chat {"message":"b"}"#),
        (#"{"t\u0079pe":"chat","\u006dessage":"x"}"#, #"chat {"message":"x"}"#),
        (#"{"type":"\u0063hat","message":"x"}"#, #"chat {"message":"x"}"#),
        (#"{"type":"chat","message":"x","message":null}"#, "missing_field: Empty message"),
        (" \r\n\t{\"type\":\"chat\",\"message\":\"x\"}\n ", #"chat {"message":"x"}"#),
    ])
    func aPayloadBecomesACall(_ body: String, _ expected: String) throws {
        #expect(outcome(body, try TestConfiguration.shippedTypes()) == expected)
    }

    @Test(arguments: ["null", "\"\"", "0", "0.0", "-0", "0e9", "false", "[]", "{}", "[ ]", "{ }"])
    func whatPythonCallsFalseIsMissing(_ value: String) throws {
        let types = try TestConfiguration.shippedTypes()
        #expect(outcome("{\"type\":\"search_projects\",\"query\":\(value)}", types) == "missing_field: Missing query")
        #expect(outcome("{\"type\":\"ai_prompt\",\"message\":\(value)}", types) == "missing_field: Empty prompt")
    }

    @Test(arguments: ["1", "true", "\"0\"", "\" \"", "[0]", "{\"a\":null}", "0.1"])
    func whatPythonCallsTrueIsNot(_ value: String) throws {
        let types = try TestConfiguration.shippedTypes()
        let expected = "search_projects {\"query\":\(value)}"
        #expect(outcome("{\"type\":\"search_projects\",\"query\":\(value)}", types) == expected)
    }

    @Test(arguments: [
        (" a b ", "a b"), (#"\u0020\u00a0a\n\t"#, "a"), ("\u{00A0}\u{3000}a\u{2028}", "a"),
        (#"\u001c\u0085a\u2003"#, "a"), (#"\\ "#, #"\\"#), (#" \" "#, #"\""#),
        // Not white space to Python.
        ("\u{200B}a\u{FEFF}", "\u{200B}a\u{FEFF}"), (#"\u200ba\ufeff"#, #"\u200ba\ufeff"#),
    ])
    func trimmingRemovesWhatPythonsStripDoes(_ text: String, _ expected: String) throws {
        let types = try TestConfiguration.shippedTypes()
        #expect(outcome("{\"message\":\"\(text)\"}", types) == "chat {\"message\":\"\(expected)\"}")
    }

    @Test(arguments: [" ", #"\u0020"#, #"\u00a0"#, "\u{00A0}", #" \t\n\r "#, #"\u2029\u3000"#])
    func whatIsEmptyAfterTrimmingIsMissing(_ text: String) throws {
        let types = try TestConfiguration.shippedTypes()
        #expect(outcome("{\"message\":\"\(text)\"}", types) == "missing_field: Empty message")
    }

    @Test func onlyAStringCanBeTrimmed() throws {
        let types = try TestConfiguration.shippedTypes()
        #expect(outcome(#"{"message":5}"#, types) == "invalid_argument: message: expected string, found number")
        #expect(
            outcome(#"{"type":"ai_prompt","message":["x"]}"#, types)
                == "invalid_argument: message: expected string, found array")
    }

    @Test(arguments: [
        "", "{", "[]", "true", "null", "\"x\"", "NaN", "{'type':'chat'}", #"{"type":"chat","message":"x",}"#,
        #"{"type":"chat","message":"x"} // c"#, "type=chat", "\u{FEFF}{\"type\":\"chat\"}", #"{"a":"\ud80"}"#,
        "{\"a\":\"\n\"}", "{\"a\":NaN}", "{\"a\":01}",
    ])
    func whatIsNoJSONObjectIsInvalidJSON(_ body: String) throws {
        #expect(outcome(body, try TestConfiguration.shippedTypes()) == "invalid_json: Invalid JSON")
    }

    @Test func nestingIsLimitedTo64Levels() throws {
        let types = try TestConfiguration.shippedTypes()
        func body(_ depth: Int) -> String {
            let open = String(repeating: "[", count: depth - 1)
            return "{\"message\":\"x\",\"z\":\(open)\(String(repeating: "]", count: depth - 1))}"
        }
        #expect(outcome(body(64), types) == #"chat {"message":"x"}"#)
        #expect(outcome(body(65), types) == "invalid_json: Invalid JSON")
    }

    @Test func invalidUTF8IsInvalidJSON() throws {
        var translator = ChatTranslator(try TestConfiguration.shippedTypes())
        let body = ByteBuffer(bytes: Array("{\"message\":\"".utf8) + [0xE9] + Array("\"}".utf8))
        guard case .failure(let error) = translator.translate(body) else {
            Issue.record("Latin-1 was accepted")
            return
        }
        #expect(error.label == .invalidJSON)
    }

    @Test(arguments: [
        (#""nope""#, "nope"), (#""""#, ""), ("5", "5"), ("1.50", "1.50"), ("null", "null"), ("true", "true"),
        (#"["chat"]"#, #"["chat"]"#), (#""Chat""#, "Chat"), (#""tools/call""#, "tools/call"),
        (#""<b>&\"""#, "<b>&\""), (#""a\u0000b\u001f\u0085\u007f""#, "a\u{FFFD}b\u{FFFD}\u{FFFD}\u{FFFD}"),
        (#""__proto__""#, "__proto__"), (#""echo""#, "echo"),
    ])
    func anUnknownTypeIsShown(_ type: String, _ shown: String) throws {
        let types = try TestConfiguration.shippedTypes()
        #expect(outcome("{\"type\":\(type),\"message\":\"x\"}", types) == "unknown_type: Unknown type: \(shown)")
    }

    @Test func anUnknownTypeIsCutAt200Characters() throws {
        let types = try TestConfiguration.shippedTypes()
        let long = String(repeating: "\u{E9}", count: 1_000_000)
        let expected = "unknown_type: Unknown type: " + String(repeating: "\u{E9}", count: 200)
        #expect(outcome("{\"type\":\"\(long)\"}", types) == expected)
    }

    // MARK: Arguments as data

    private func types(_ arguments: JSONValue, missing: JSONValue = "Missing") throws -> TypeMap {
        try TestConfiguration.types([
            "defaultType": "t",
            "types": ["t": ["tool": "tool", "arguments": arguments, "missing": missing]],
        ])
    }

    @Test func constantsAndDefaultsFillIn() throws {
        let types = try types([
            "kind": ["value": ["a": [1, nil]]], "limit": ["default": 5], "query": ["from": "q"],
            "tag": ["required": false],
        ])
        #expect(outcome(#"{"q":"x"}"#, types) == #"tool {"kind":{"a":[1,null]},"limit":5,"query":"x"}"#)
        #expect(
            outcome(#"{"q":"x","kind":"no","limit":9,"tag":"t"}"#, types)
                == #"tool {"kind":{"a":[1,null]},"limit":9,"query":"x","tag":"t"}"#)
        #expect(
            outcome(#"{"q":"x","limit":0,"tag":""}"#, types) == #"tool {"kind":{"a":[1,null]},"limit":5,"query":"x"}"#)
        #expect(outcome("{}", types) == "missing_field: Missing")
    }

    @Test func falsyValuesPassWhereTheTypeSaysSo() throws {
        let types = try types(["done": ["required": false, "falsyIsMissing": false]])
        #expect(outcome(#"{"done":false}"#, types) == #"tool {"done":false}"#)
        #expect(outcome(#"{"done":null}"#, types) == "tool {}")
    }

    @Test(arguments: [
        ("string", "5", "\"5\""), ("string", "true", "\"true\""), ("string", "[1]", "[1]"),
        ("integer", "\"42\"", "42"), ("integer", "\" 42 \"", "42"), ("integer", "\"4.5\"", "\"4.5\""),
        ("integer", "\"x\"", "\"x\""), ("number", "\"4.5\"", "4.5"), ("number", "\"1e3\"", "1e3"),
        ("number", "\"01\"", "\"01\""), ("boolean", "\"true\"", "true"), ("boolean", "\"yes\"", "\"yes\""),
        ("none", "\"5\"", "\"5\""),
    ])
    func coercionTurnsOnlyWhatIsUnambiguous(_ coercion: String, _ value: String, _ expected: String) throws {
        let types = try types(["a": ["coerce": .string(coercion)]])
        #expect(outcome("{\"a\":\(value)}", types) == "tool {\"a\":\(expected)}")
    }

    @Test func theDefaultTextNamesTheRequiredFields() throws {
        let types = try TestConfiguration.types([
            "defaultType": "t",
            "types": ["t": ["tool": "tool", "arguments": ["a": ["from": "model"], "b": [:], "c": ["default": 1]]]],
        ])
        #expect(outcome("{}", types) == "missing_field: Missing model or b")
    }
}
