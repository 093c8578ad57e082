import Testing

@testable import JSON

@Suite("The scanner's grammar is RFC 8259")
struct GrammarTests {
    @Test(
        "accepts what the grammar allows",
        arguments: [
            "null", "true", "false", "0", "-0", "7", "-12", "1234567890123456789012345678901234567890", "0.0", "-0.25",
            "1e5", "1E+5", "1.5e-300", "1e400", "0e0", "\"\"", "\"plain\"", "\"exactly8\"", "\"seven77\"",
            #""a longer run of plain text, 40 bytes or so""#, #""\"\\\/\b\f\n\r\t""#, #""\u0000\u001f\uFFFF""#,
            #""\uD83D\uDE00""#, #""\ud834\udd1e tail""#, #""\ud800""#, #"["\udc00"]"#,
            #""\ud800\n""#, #""\ud800\u0041""#, #""\ud800\ud800\udc00""#, #"{"\udfff":"\uDBFF"}"#, "\"\u{7F}\"",
            "\"é\u{07FF}\u{0800}\u{FFFD}\u{10000}\u{10FFFF}\"",
            "\"\u{FFFE}\u{FFFF}\u{2028}\u{2029}\"", "[]", "{}", "[ ]", "{ }", " \t\r\n null \n", "[1,2,3]",
            "[[],[[]],{}]",
            #"{"a":1}"#, #"{"a":{"b":[{"c":null}]}}"#, #"{"":0}"#, #"{"a":1,"a":2}"#, #"{"\u0061":1}"#,
            #"[true , false ,null, "x" ,-1.0e+2 , {} , [ ] ]"#, #"{ "k" : "v" , "l" : [ 1 ] }"#,
        ])
    func accepted(text: String) throws {
        let slice = try Scanning.document(text).get()
        let trimmed = text.utf8.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        #expect(slice.lowerBound == text.utf8.count - trimmed.count)
    }

    @Test(
        "refuses what it does not",
        arguments: [
            "nul", "nulL", "True", "tru", "falsy", "NaN", "Infinity", "-Infinity", "undefined", "nan", "inf",
            "01", "-01", "00", "+1", "1.", ".5", "-.5", "1.e5", "1e", "1e+", "1e-", "1.5e", "--1", "-", "0x10", "1_000",
            "1 000", "1,5", "١", "\u{FF11}", "\"", "\"a", "\"\\", "\"\\\"", "'a'", "\"\\x41\"", "\"\\a\"", "\"\\u12\"",
            "\"\\u12G4\"", "\"\\U0041\"", "\"\\ \"", "\"\t\"", "\"\n\"", "\"\u{00}\"", "\"\u{1F}\"", "\"a\" \"b\"",
            "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1;2]", "[1}", "[\"a\"", "[\"a\",", "[[]", "[]]",
            "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{1:1}",
            "{\"a\" 1}", "{\"a\",1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "{null:1}", "{[]:1}", "{\"a\":}",
            "{:1}", "{\"a\"}", "{\"a\":1}}", "[1]x", "1 2", "null,", "/* c */ 1", "1 // c", "[1] # c", "\u{0C}1",
            "\u{A0}1", "[\u{A0}]", "\u{2028}1", "\u{00}", "[1\u{00}]", "{}\u{00}", "*", "<null>", "&", "\\u0031",
            "[\u{0B}]",
        ])
    func refused(text: String) {
        #expect(Scanning.code(text) != nil, "accepted \(text.debugDescription)")
    }

    @Test("an empty text and white space alone end unexpectedly", arguments: ["", " ", "\n\t\r "])
    func empty(text: String) {
        #expect(Scanning.code(text) == .unexpectedEnd)
    }

    @Test("a byte order mark is a syntax error, alone or before a document")
    func byteOrderMark() {
        #expect(Scanning.code([0xEF, 0xBB, 0xBF]) == .syntax)
        #expect(Scanning.code([0xEF, 0xBB, 0xBF] + Array("{}".utf8)) == .syntax)
        #expect(Scanning.code([0xFF, 0xFE, 0x7B, 0x00]) == .syntax)
        #expect(Scanning.code([0x00, 0x7B]) == .syntax)
    }

    @Test(
        "says what is wrong and where",
        arguments: [
            ("[1,]", JSONError.Code.syntax, 3), ("{\"a\" 1}", .syntax, 5), ("[1", .unexpectedEnd, 2),
            ("1 x", .trailingBytes, 2), ("01", .trailingBytes, 1), ("\"\\ud80\"", .syntax, 6),
            ("\"\\ud83d\\x\"", .syntax, 8), ("\"\\ud83d\\ude0", .unexpectedEnd, 12),
            ("\"\\ud83d\\ude0\"", .syntax, 12), ("\"ab\ncd\"", .syntax, 3), ("tru", .unexpectedEnd, 3),
        ])
    func positions(text: String, code: JSONError.Code, offset: Int) {
        #expect(Scanning.document(text) == .failure(JSONError(code, at: offset)))
    }

    @Test(
        "invalid UTF-8 is refused wherever a string has it",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE1, 0x80], [0xE1, 0x80, 0x41], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xEF, 0xBF],
            [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF1, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xFE],
            [0xFF],
        ] as [[UInt8]])
    func invalidUTF8(sequence: [UInt8]) {
        for padding in 0...9 {
            let text = [0x22] + [UInt8](repeating: 0x61, count: padding) + sequence + [0x22]
            #expect(Scanning.code(text) == .invalidUTF8, "after \(padding) bytes")
            #expect(Scanning.code([0x7B] + text + Array(":1}".utf8)) == .invalidUTF8, "in a key")
        }
    }

    @Test("every scalar passes, raw and escaped, at every alignment")
    func everyScalar() throws {
        for value in stride(from: UInt32(0x20), through: 0x10FFFF, by: 37) {
            guard let scalar = Unicode.Scalar(value), scalar != "\"", scalar != "\\" else { continue }
            let text = "\"" + String(repeating: "x", count: Int(value % 9)) + String(Character(scalar)) + "\""
            #expect(Scanning.code(text) == nil, "U+\(String(value, radix: 16))")
        }
    }

    @Test("special bytes are found at every position of a word")
    func wordPositions() {
        for length in 0...24 {
            for position in 0..<length {
                for byte in [0x22, 0x5C, 0x00, 0x1F, 0x80, 0xFF] as [UInt8] {
                    var text = [UInt8](repeating: 0x61, count: length)
                    text[position] = byte
                    let code = Scanning.code([0x22] + text + [0x22])
                    // A quote ends the string early, a backslash starts an unknown escape: \a or, at the end, \".
                    #expect(code != nil, "byte \(byte) at \(position) of \(length)")
                }
                var text = [UInt8](repeating: 0x61, count: length)
                text[position] = 0x21  // One below the quote: the borrow of a neighbour must not matter.
                if position + 1 < length { text[position + 1] = 0x23 }
                #expect(Scanning.code([0x22] + text + [0x22]) == nil)
            }
        }
    }
}

@Suite("Nesting is counted, never recursed into")
struct DepthTests {
    @Test("64 levels are accepted, the 65th is too deep")
    func defaultLimit() {
        let opening = [UInt8](repeating: 0x5B, count: 65)
        let closing = [UInt8](repeating: 0x5D, count: 65)
        #expect(Scanning.code(Array(opening.prefix(64) + closing.prefix(64))) == nil)
        #expect(Scanning.document(opening + closing) == .failure(JSONError(.tooDeep, at: 64)))
    }

    @Test("objects count like arrays")
    func objects() {
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
        }
        #expect(Scanning.code(nested(64)) == nil)
        #expect(Scanning.code(nested(65)) == .tooDeep)
        #expect(Scanning.members(nested(64)).error == nil)
        #expect(Scanning.members(nested(65)).error?.code == .tooDeep)
    }

    @Test("siblings do not add up")
    func siblings() {
        #expect(Scanning.code("[" + String(repeating: "[{}],", count: 1000) + "[]]") == nil)
    }

    @Test("kinds of container are kept apart on every level", arguments: [1, 2, 63, 64, 65, 128, 511])
    func mixed(depth: Int) {
        var opening = ""
        var closing = ""
        for level in 0..<depth {
            opening += level.isMultiple(of: 3) ? #"{"k":"# : "["
            closing = (level.isMultiple(of: 3) ? "}" : "]") + closing
        }
        #expect(Scanning.code(Array((opening + "0" + closing).utf8), maximumDepth: 512) == nil)
        let wrong = closing.first == "}" ? "]" : "}"
        #expect(Scanning.code(Array((opening + "0" + wrong + closing.dropFirst()).utf8), maximumDepth: 512) == .syntax)
    }

    @Test("a limit of 0 takes scalars only, and a million brackets are refused at once")
    func extremes() {
        #expect(Scanning.code(Array("1".utf8), maximumDepth: 0) == nil)
        #expect(Scanning.code(Array("[]".utf8), maximumDepth: 0) == .tooDeep)
        #expect(Scanning.code([UInt8](repeating: 0x5B, count: 1_000_000), maximumDepth: .max) == .tooDeep)
    }
}

@Suite("Slices and members")
struct SliceTests {
    @Test("a slice is small")
    func size() {
        #expect(MemoryLayout<JSONSlice>.size <= 12)
    }

    @Test("members come in order, duplicates included, with their raw values")
    func members() {
        let text = #" { "a" : 1 , "b":[1, 2] ,"a": {"x":null}, "é\n":"\u0041" } "#
        let (members, error) = Scanning.members(text)
        #expect(error == nil)
        #expect(members == ["a=1", "b=[1, 2]", "a={\"x\":null}", "é\n=\"\\u0041\""])
    }

    @Test("an empty object has none")
    func empty() {
        #expect(Scanning.members(" { } ").members.isEmpty)
        #expect(Scanning.members(" { } ").error == nil)
    }

    @Test(
        "other documents are no object, broken ones are broken",
        arguments: [
            ("[]", JSONError.Code.notAnObject), ("1", .notAnObject), (" null ", .notAnObject), ("\"{}\"", .notAnObject),
            ("", .unexpectedEnd), ("[", .unexpectedEnd), ("{} {}", .trailingBytes), ("{}x", .trailingBytes),
            ("[1", .unexpectedEnd), ("{\"a\":1", .unexpectedEnd), ("{\"a\":1,}", .syntax), ("{\"a\":[}", .syntax),
            ("{\"a\":1,\"b\"", .unexpectedEnd), ("nul", .unexpectedEnd), ("{\"a\":1;", .syntax),
        ])
    func notObjects(text: String, code: JSONError.Code) {
        #expect(Scanning.members(text).error?.code == code)
    }

    @Test("kinds and escapes are noted")
    func kinds() throws {
        let text = #"[null,true,-1.5e3,"plain","esc\t",[],{}]"#
        try Scanning.with(text) { slice, bytes in
            var seen: [String] = []
            JSONScanner.elements(of: slice, in: bytes) { element in
                seen.append("\(element.kind)\(element.hasEscapes ? "!" : "") \(JSONText.source(element, in: bytes))")
                return true
            }
            #expect(
                seen == [
                    "null null", "boolean true", "number -1.5e3", "string \"plain\"", "string! \"esc\\t\"", "array []",
                    "object {}",
                ])
        }
    }

    @Test("walking finds what scanning found, in any shape of white space")
    func walking() throws {
        let text = "{ \"a\"\n:\t{\"b\" : [ 1 , \"}\\\"]\" , {\"c\":{}} ]\r} , \"d\":\"\\\\\",\"e\":-0 }"
        try Scanning.with(text) { slice, bytes in
            var members: [String] = []
            JSONScanner.members(of: slice, in: bytes) { member in
                members.append("\(JSONText.string(member.key, in: bytes))=\(JSONText.source(member.value, in: bytes))")
                return true
            }
            #expect(members == ["a={\"b\" : [ 1 , \"}\\\"]\" , {\"c\":{}} ]\r}", "d=\"\\\\\"", "e=-0"])
            #expect(members == Scanning.members(text).members)
        }
    }

    @Test("walking stops when told")
    func stopping() throws {
        try Scanning.with("[1,2,3]") { slice, bytes in
            var count = 0
            JSONScanner.elements(of: slice, in: bytes) { _ in
                count += 1
                return count < 2
            }
            #expect(count == 2)
        }
    }

    @Test("a member is found by its meaning, and the last of its name wins")
    func member() throws {
        try Scanning.with(#"{"a":1,"\u0061":2,"b":{"a":3},"c":4}"#) { slice, bytes in
            let a = try #require(JSONScanner.member("a", of: slice, in: bytes))
            #expect(JSONText.source(a, in: bytes) == "2")
            let name = "b"
            let b = try #require(JSONScanner.member(name, of: slice, in: bytes))
            #expect(JSONScanner.member("a", of: b, in: bytes).map { JSONText.source($0, in: bytes) } == "3")
            #expect(JSONScanner.member("d", of: slice, in: bytes) == nil)
            #expect(JSONScanner.member("a", of: a, in: bytes) == nil)
        }
    }

    @Test("a shifted slice means the same in a longer buffer")
    func shifted() throws {
        let slice = try Scanning.document("\"ab\"").get()
        let bytes = Array("xx\"ab\"".utf8)
        bytes.withUnsafeBytes { #expect(JSONText.string(slice.shifted(by: 2), in: $0) == "ab") }
    }
}
