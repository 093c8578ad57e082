import Testing

@testable import JSON

@Suite("Reading and writing string text")
struct TextTests {
    static let spellings: [(source: String, meaning: String)] = [
        (#""""#, ""), (#""plain""#, "plain"), (#""a\"b\\c\/d""#, "a\"b\\c/d"), (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t"),
        (#""\u0041\u00e9\u20AC""#, "Aé€"), (#""\ud83d\ude00""#, "😀"), (#""x\uD834\uDD1Ey""#, "x𝄞y"),
        (#""\ud83d""#, "\u{FFFD}"), (#""\ude00x""#, "\u{FFFD}x"), (#""\ud83d\n""#, "\u{FFFD}\n"),
        (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"),
        (#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"), (#""\ud83d\\ude00""#, "\u{FFFD}\\ude00"),
        (#""\u0000""#, "\u{0}"), ("\"é€😀\"", "é€😀"), (#""é\u00e9""#, "éé"),
    ]

    @Test("escapes are undone", arguments: spellings)
    func unescaping(source: String, meaning: String) throws {
        try Scanning.with(source) { slice, bytes in
            #expect(JSONText.string(slice, in: bytes).unicodeScalars.elementsEqual(meaning.unicodeScalars))
            var appended: [UInt8] = [1]
            JSONText.appendUnescaped(slice, in: bytes, to: &appended)
            #expect(appended == [1] + Array(meaning.utf8))
            #expect(JSONText.scalarCount(slice, in: bytes) == meaning.unicodeScalars.count)
        }
    }

    @Test("equality follows the meaning", arguments: spellings)
    func equality(source: String, meaning: String) throws {
        try Scanning.with(source) { slice, bytes in
            #expect(JSONText.equals(slice, meaning, in: bytes))
            #expect(!JSONText.equals(slice, meaning + "x", in: bytes))
            #expect(!JSONText.equals(slice, "x" + meaning, in: bytes))
            if !meaning.isEmpty { #expect(!JSONText.equals(slice, String(meaning.dropLast()), in: bytes)) }
        }
    }

    @Test("only strings equal text, and no normalisation happens")
    func exactness() throws {
        try Scanning.with("1") { slice, bytes in #expect(!JSONText.equals(slice, "1", in: bytes)) }
        try Scanning.with("\"e\u{301}\"") { slice, bytes in
            #expect(!JSONText.equals(slice, "\u{E9}", in: bytes))
            let literal: StaticString = "e\u{301}"
            #expect(JSONText.equals(slice, literal, in: bytes))
        }
    }

    @Test("quoting escapes quote, backslash and controls, nothing else")
    func quoting() {
        let text = "a\"b\\c/d\u{8}\t\n\u{C}\r\u{0}\u{1F}\u{7F}é€😀\u{2028}"
        let expected = #""a\"b\\c/d\b\t\n\f\r\u0000\u001f"# + "\u{7F}é€😀\u{2028}\""
        #expect(String(decoding: JSONText.quoted(text), as: UTF8.self) == expected)
        var target: ArraySlice<UInt8> = [0x3A]
        JSONText.appendQuoted("x\n", to: &target)
        #expect(Array(target) == Array(#":"x\n""#.utf8))
    }

    @Test("quoting finds what needs an escape at every position")
    func quotingPositions() throws {
        for length in 1...20 {
            for position in 0..<length {
                var bytes = [UInt8](repeating: 0x61, count: length)
                bytes[position] = 0x0A
                let quoted = bytes.withUnsafeBytes { JSONText.quoted($0) }
                #expect(quoted.count == length + 3)
                #expect(try JSONValue(parsing: quoted).string == String(decoding: bytes, as: UTF8.self))
                bytes.withUnsafeBytes { #expect(!JSONText.isPlain($0)) }
            }
            let plain = [UInt8](repeating: 0xC3, count: length)
            plain.withUnsafeBytes { #expect(JSONText.isPlain($0)) }
        }
    }
}
