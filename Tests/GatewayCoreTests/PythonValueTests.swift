import JSON
import Testing

@testable import GatewayCore

@Suite("What Python made of values")
struct PythonValueTests {
    static func with(_ text: String, _ body: (JSONSlice, UnsafeRawBufferPointer) throws -> Void) throws {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            try body(try scanner.document(), bytes)
        }
    }

    @Test(
        "false values",
        arguments: [
            "null", "false", "0", "-0", "0.0", "-0.00", "0e5", "0E-5", "0.0e+10", "1e-400", "-4e-500", "\"\"", "[]",
            "{}",
            "[ ]", "{\n}",
        ])
    func falsy(text: String) throws {
        try Self.with(text) { #expect(PythonValue.isFalsy($0, in: $1)) }
    }

    @Test(
        "true values",
        arguments: [
            "true", "1", "-1", "10", "100", "0.1", "1e5", "10e-3", "0.0001", "1e400", "5e-324", "\" \"", "\"0\"",
            "\"\\u0000\"", "[0]", "[[]]", "{\"\":0}", "\"false\"",
        ])
    func truthy(text: String) throws {
        try Self.with(text) { #expect(!PythonValue.isFalsy($0, in: $1)) }
    }

    @Test(
        "trimming takes what str.strip takes, raw or escaped",
        arguments: [
            ("a", "a"), ("", ""), ("   ", ""), ("  a b  ", "a b"), (#"\n\ta\r\n"#, "a"), (#"\u0020a\u00a0"#, "a"),
            ("\u{A0}\u{3000}a\u{2003}\u{85}", "a"), (#"\u001c\u001D\u001e\u001fa"#, "a"), (#"\u000b\fa"#, "a"),
            ("\u{1680}a\u{2028}\u{2029}\u{202F}\u{205F}", "a"), (#"  \\  "#, #"\\"#), (#"a\\n"#, #"a\\n"#),
            (#"a\\\n"#, #"a\\"#), (#" \n\t\u3000 "#, ""), ("\u{200B}a\u{200B}", "\u{200B}a\u{200B}"),
            ("\u{FEFF}a ", "\u{FEFF}a"), (#"\u200ba\ufeff"#, #"\u200ba\ufeff"#), ("a\u{2007}b ", "a\u{2007}b"),
            (#"\b"#, #"\b"#), ("é ", "é"), (" 😀\u{2009}", "😀"), (#"x\ud83d\ude00 \t"#, #"x\ud83d\ude00"#),
            (#"\ud83d "#, #"\ud83d"#), (#" \ude00\ud83d\n"#, #"\ude00\ud83d"#), (#"\ud83d\u0020"#, #"\ud83d"#),
            ("\u{180E}a", "\u{180E}a"), ("\u{E0A0}", "\u{E0A0}"),
        ])
    func trimming(content: String, expected: String) throws {
        try Self.with("\"\(content)\"") { slice, bytes in
            let range = PythonValue.trimmed(slice, in: bytes)
            #expect(String(decoding: bytes[range], as: UTF8.self) == expected)
        }
    }
}
