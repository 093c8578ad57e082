import TestSupport
import Testing

@testable import JSON

@Suite("Trees")
struct ValueTests {
    @Test(
        "what is parsed comes out as it went in, but for white space and escapes",
        arguments: [
            ("null", "null"), (" [ 1 , 2.50 , -0 , 1e400 ] ", "[1,2.50,-0,1e400]"),
            (#"{"z":1,"a":{"y":[],"b":{}}}"#, #"{"z":1,"a":{"y":[],"b":{}}}"#),
            (#""\u0041\/\u00e9\ud83d\ude00\u001f""#, "\"A/é😀\\u001f\""), ("[[[]]]", "[[[]]]"),
            (#"{"a":1,"b":2,"a":3}"#, #"{"a":3,"b":2}"#), ("true", "true"), (#"{"":""}"#, #"{"":""}"#),
            ("12345678901234567890123", "12345678901234567890123"),
        ])
    func roundTrip(text: String, expected: String) throws {
        let value = try JSONValue(parsing: text)
        #expect(value.text == expected)
        #expect(try JSONValue(parsing: value.serialized) == value)
        #expect(try JSONValue(parsing: value.prettyText) == value)
        #expect(try JSONValue(parsing: Array(text.utf8)[...]) == value)
        #expect(try JSONValue(parsing: AnyCollection(Array(text.utf8))) == value)
    }

    @Test("the footprint grows with the values and their text")
    func footprint() {
        #expect(JSONValue.footprint(of: []) == 0)
        #expect(JSONValue.footprint(of: Array(#""text""#.utf8)) == 6)
        #expect(JSONValue.footprint(of: Array(#"{"a":[1,2]}"#.utf8)) == 11 + 4 * 64)
        let arrays = [UInt8](repeating: UInt8(ascii: "["), count: 1000)
        #expect(JSONValue.footprint(of: arrays) == 65_000)
    }

    @Test("parsing throws the scanner's errors")
    func errors() {
        #expect(throws: JSONError(.unexpectedEnd, at: 1)) { try JSONValue(parsing: "[") }
        #expect(throws: JSONError(.tooDeep, at: 1)) { try JSONValue(parsing: "[[]]", maximumDepth: 1) }
        #expect(throws: JSONError(.invalidUTF8, at: 1)) { try JSONValue(parsing: [0x22, 0xFF, 0x22] as [UInt8]) }
    }

    @Test("the deepest document that can be asked for is built and written without trouble")
    func depth() throws {
        let text = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)
        #expect(try JSONValue(parsing: text, maximumDepth: 512).text == text)
    }

    @Test("accessors give the value of their kind and nil for others")
    func accessors() {
        let value: JSONValue = [
            "text": "x", "count": 3, "ratio": 0.5, "flag": true, "nothing": nil, "list": [1, "two"],
            "nested": ["key": "value"],
        ]
        #expect(value["text"]?.string == "x")
        #expect(value["count"]?.int == 3)
        #expect(value["ratio"]?.double == 0.5)
        #expect(value["ratio"]?.int == nil)
        #expect(value["flag"]?.bool == true)
        #expect(value["nothing"]?.isNull == true)
        #expect(value["list"]?[1]?.string == "two")
        #expect(value["list"]?[2] == nil)
        #expect(value["list"]?[-1] == nil)
        #expect(value["nested"]?["key"] == "value")
        #expect(value["text"]?["key"] == nil)
        #expect(value["missing"] == nil)
    }

    @Test("setting members")
    func setting() {
        var value: JSONValue = ["a": 1]
        value["b"] = "x"
        value["a"] = nil
        #expect(value.text == #"{"b":"x"}"#)
        var scalar: JSONValue = 1
        scalar["a"] = 2
        #expect(scalar == ["a": 2])
    }

    @Test("objects are equal in any order, arrays are not; numbers by value")
    func equality() throws {
        let left = try JSONValue(parsing: #"{"a":1,"b":[1,2]}"#)
        let right = try JSONValue(parsing: #"{"b":[1.0,2],"a":1e0}"#)
        #expect(left == right)
        #expect(Set([left, right]).count == 1)
        #expect(left != ["a": 1, "b": [2, 1]])
        #expect(left != ["a": 1])
        #expect(JSONValue.number(1) != .string("1"))
        #expect(JSONValue.null != false)
    }

    @Test("pretty text is indented by two")
    func pretty() {
        let value: JSONValue = ["a": [1, [:]], "b": [], "c": "x\n"]
        #expect(
            value.prettyText == """
                {
                  "a": [
                    1,
                    {}
                  ],
                  "b": [],
                  "c": "x\\n"
                }
                """)
    }

    @Test("object operations keep the order")
    func objects() {
        var object: JSONObject = ["b": 1, "a": 2]
        object["c"] = 3
        object["b"] = 4
        #expect(object.keys == ["b", "a", "c"])
        #expect(object.map(\.key) == ["b", "a", "c"])
        #expect(object.removeValue(forKey: "a") == 2)
        #expect(object.merging(["c": 5, "d": 6]).serialized == Array(#"{"b":4,"c":5,"d":6}"#.utf8))
        #expect(object.count == 2)
        #expect(JSONObject().isEmpty)
    }

    @Test("two Unicode spellings of a key are two keys, as they are two texts")
    func keysByteByByte() throws {
        let text = "{\"\u{E9}\":1,\"e\u{301}\":2}"
        let object = try #require(JSONValue(parsing: text).object)
        #expect(object.count == 2)
        #expect(object["\u{E9}"] == 1)
        #expect(object["e\u{301}"] == 2)
        #expect(object.serialized == Array(text.utf8))
        #expect(object != ["\u{E9}": 2, "e\u{301}": 1])
    }

    @Test("mutated documents are refused or survive a round trip")
    func mutations() throws {
        let seeds = [
            #"{"a":[1,2.5e3,{"b":"x\u00e9\ud83d\ude00"}],"c":null,"d":true,"é":"😀"}"#,
            #"[[],{},"\\\"",-0.0,1E+2,false,"aaaaaaaaaaaaaaaaaaaaaaaa"]"#,
        ].map { Array($0.utf8) }
        var generator = SplitMix(seed: 42)
        var accepted = 0
        for round in 0..<20_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0...Int.random(in: 0...2, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.remove(at: position)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: position)
                case 2: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                default: bytes[position] = Array("{}[]\",:\\0e.-u ".utf8).randomElement(using: &generator)!
                }
            }
            guard case .success(let slice) = Scanning.document(bytes) else { continue }
            accepted += 1
            let value = bytes.withUnsafeBytes { JSONValue(slice, in: $0) }
            #expect(String(validating: bytes, as: UTF8.self) != nil)
            #expect(try JSONValue(parsing: value.serialized) == value)
        }
        #expect(accepted > 500)
    }
}
