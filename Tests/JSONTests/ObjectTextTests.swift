import Testing

@testable import JSON

@Suite("Objects as text")
struct ObjectTextTests {
    private func object(_ text: String) throws -> JSONObjectText {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return JSONObjectText(try scanner.document(), in: bytes)
        }
    }

    private func text(_ object: JSONObjectText) -> String {
        var bytes: [UInt8] = Array("<".utf8)
        object.append(to: &bytes)
        #expect(Array(bytes.dropFirst()) == object.serialized)
        #expect(object.serialized.count <= object.sizeLimit)
        return String(decoding: object.serialized, as: UTF8.self)
    }

    @Test(
        "what is not touched stays byte for byte",
        arguments: ["{}", "{ }", #"{"a":1.0}"#, #"{ "\u0061" : [ 1e400 , "\/" ],"a":2 , "b":{} }"#])
    func untouched(_ source: String) throws {
        #expect(text(try object(source)) == source)
        #expect(text(try object(" \n\(source)\t")) == source)
    }

    @Test(
        "a member is joined behind the others",
        arguments: [
            ("{}", #"{"new":[1]}"#), ("{ }", #"{ "new":[1]}"#), (#"{"a": 1.0 }"#, #"{"a": 1.0 ,"new":[1]}"#),
            (#"{"new":0,"a":1.0, "n\u0065w":{}}"#, #"{"a":1.0,"new":[1]}"#),
        ])
    func joined(_ source: String, _ expected: String) throws {
        var object = try object(source)
        object.join("new", [1])
        #expect(text(object) == expected)
        #expect(object["new"] == [1])
        #expect(object.kind(of: "new") == .array)
        object.join("new", ["x": "\u{1}"])
        object.join("other", nil)
        #expect(object["new"]?["x"]?.string == "\u{1}")
        #expect(try JSONValue(parsing: object.serialized).object == object.object)
        #expect(object.object["other"]?.isNull == true)
        object.cut("new")
        #expect(object["new"] == nil)
    }

    @Test("every member of a name is cut, the others stay as they are")
    func cut() throws {
        var object = try object(#"{ "a":1, "b" : 2.0 ,"\u0061":3,"c":"\ud800" }"#)
        #expect(object["a"] == 3)
        object.cut("a")
        #expect(text(object) == #"{"b" : 2.0,"c":"\ud800"}"#)
        #expect(object["a"] == nil)
        object.cut("b")
        object.cut("c")
        object.cut("none")
        #expect(text(object) == "{}")
        object.join("d", "e")
        #expect(text(object) == #"{"d":"e"}"#)
    }

    @Test("the last of duplicates counts, and slices point into the text")
    func reading() throws {
        let object = try object(#"{"a":[1],"a":{"b":2}}"#)
        #expect(object.kind(of: "a") == .object)
        #expect(object.kind(of: "b") == nil)
        #expect(object.withSlice(of: "a") { JSONText.source($0, in: $1) } == #"{"b":2}"#)
        #expect(object.object == ["a": ["b": 2]])
        #expect(text(JSONObjectText(["x": 1, "y": [nil]])) == #"{"x":1,"y":[null]}"#)
    }

    @Test("what is no object becomes an empty one")
    func otherKinds() throws {
        #expect(text(try object("[1]")) == "{}")
    }

    @Test("a fragment keeps its text, on one line where that is needed")
    func fragments() throws {
        let source = " {\n\"a\" :\r\n1.0, \"n\": \"\\n\"} "
        let fragment = try Array(source.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return JSONFragment(try scanner.document(), in: bytes)
        }
        #expect(fragment.kind == .object)
        #expect(String(decoding: fragment.bytes, as: UTF8.self) == "{\n\"a\" :\r\n1.0, \"n\": \"\\n\"}")
        #expect(String(decoding: fragment.singleLine.bytes, as: UTF8.self) == "{ \"a\" :  1.0, \"n\": \"\\n\"}")
        #expect(fragment.value == ["a": 1, "n": "\n"])
        #expect(fragment.singleLine.value == fragment.value)
        #expect(JSONFragment([1, "x"]).value == [1, "x"])
        #expect(fragment.withSlice { slice, bytes in slice.count == bytes.count })
    }
}
