import Testing

@testable import JSON

@Suite("Patterns run in bounded time")
struct SchemaPatternTests {
    @Test(
        "match as ECMA-262 says",
        arguments: [
            ("", ["", "x"], []), ("abc", ["abc", "xabcx"], ["ab", "acb"]), ("^abc$", ["abc"], ["xabc", "abcx"]),
            ("a.c", ["abc", "a😀c"], ["ac", "a\nc"]), ("a*b", ["b", "aab"], ["a"]), ("^a+$", ["a", "aaa"], ["", "ab"]),
            ("^a?b$", ["b", "ab"], ["aab"]), ("^a{2}$", ["aa"], ["a", "aaa"]), ("^a{2,}$", ["aa", "aaaa"], ["a"]),
            ("^a{1,3}$", ["a", "aaa"], ["", "aaaa"]), ("^(ab|cd)+$", ["ab", "abcd"], ["abc", ""]),
            ("^(?:x|)y$", ["xy", "y"], ["x"]), ("^[a-c_]+$", ["abc_"], ["d"]), ("^[^0-9]$", ["a", "é"], ["5"]),
            (#"^\d{4}-\d\d$"#, ["2026-07"], ["2026-7"]), (#"^\w+\s\W$"#, ["ab -"], ["ab-"]),
            (#"^[\w.-]+$"#, ["a.b-c"], ["a b"]),
            (#"\bfoo\b"#, ["a foo b", "foo"], ["food", "afoo"]), (#"^\u0041\x42\u{1F600}$"#, ["AB😀"], ["AB"]),
            (#"^\uD83D\uDE00$"#, ["😀"], ["x"]), (#"^\p{Lu}\p{L}*$"#, ["Été"], ["été"]), (#"^\P{N}$"#, ["a"], ["5"]),
            ("^[]$", [], ["a"]), ("^[^]$", ["a", "\n"], []), ("^a{,2}$", ["a{,2}"], ["aa"]), ("a|b|c", ["c"], ["d"]),
            ("^(?<year>[0-9]+)$", ["2026"], ["x"]), (#"^[\]\\-]+$"#, ["]\\-"], ["a"]), (#"^\/\.$"#, ["/."], ["/x"]),
            ("^(a|b)*?c$", ["ababc", "c"], ["abd"]), ("^(()|a)+$", ["", "aa"], ["b"]),
            (#"^[\d-x]$"#, ["-", "x", "3"], ["y"]),
            ("x$|^y", ["ax", "yb"], ["xa", "by"]),
        ] as [(String, [String], [String])])
    func matching(pattern: String, matching: [String], others: [String]) throws {
        let compiled = try JSONSchemaPattern(pattern)
        for text in matching { #expect(compiled.matches(text) == true, "\(text.debugDescription)") }
        for text in others { #expect(compiled.matches(text) == false, "\(text.debugDescription)") }
    }

    @Test(
        "patterns that make backtracking engines hang are ordinary ones",
        arguments: ["^(a+)+$", "^(a|a)*b$", "^(a*)*$x"])
    func exponential(pattern: String) throws {
        let compiled = try JSONSchemaPattern(pattern)
        #expect(compiled.matches(String(repeating: "a", count: 20_000) + "!") == false)
    }

    @Test("longer texts than the bound allows are not decided")
    func bound() throws {
        let compiled = try JSONSchemaPattern("^(x{0,500})*$")
        #expect(compiled.matches(String(repeating: "x", count: 100_000)) == nil)
    }

    @Test(
        "malformed patterns", arguments: ["(", ")", "[a", "*a", "a**", "a{2,1}", "\\", "[z-a]", #"\u{110000}"#, #"\y"#])
    func malformed(pattern: String) {
        #expect(throws: JSONSchemaPattern.ParseError.self) { try JSONSchemaPattern(pattern) }
    }

    @Test(
        "patterns beyond the automaton are told apart from malformed ones",
        arguments: ["(?=a)", "(?!a)", "(?<=a)", #"(a)\1"#, #"\p{Script=Greek}"#, "(a{1000}){1000}", "a{5000}"])
    func unsupported(pattern: String) {
        do {
            _ = try JSONSchemaPattern(pattern)
            Issue.record("compiled")
        } catch {
            guard case .unsupported = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
