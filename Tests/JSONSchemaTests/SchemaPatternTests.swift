import JSON
import Testing

@testable import JSONSchema

@Suite("Patterns run in bounded time")
struct SchemaPatternTests {
    static func pattern(_ source: String) throws(JSONSchemaPattern.ParseError) -> JSONSchemaPattern {
        var budget = JSONSchemaBudget.compilation
        return try JSONSchemaPattern(source, &budget)
    }

    static func matches(
        _ pattern: JSONSchemaPattern, _ text: String, steps: Int = JSONSchemaBudget.evaluation.steps
    ) -> Bool? {
        var budget = JSONSchemaBudget(steps: steps, bytes: 1 << 20)
        return pattern.matches(text, &budget)
    }

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
        let compiled = try Self.pattern(pattern)
        for text in matching { #expect(Self.matches(compiled, text) == true, "\(text.debugDescription)") }
        for text in others { #expect(Self.matches(compiled, text) == false, "\(text.debugDescription)") }
    }

    @Test(
        "patterns that make backtracking engines hang are ordinary ones",
        arguments: ["^(a+)+$", "^(a|a)*b$", "^(a*)*$x"])
    func exponential(pattern: String) throws {
        let compiled = try Self.pattern(pattern)
        #expect(Self.matches(compiled, String(repeating: "a", count: 20_000) + "!") == false)
    }

    @Test("longer texts than the budget allows are not decided")
    func bound() throws {
        let compiled = try Self.pattern("^(x{0,500})*$")
        #expect(Self.matches(compiled, String(repeating: "x", count: 100_000)) == nil)
        #expect(Self.matches(compiled, String(repeating: "x", count: 1_000)) == true)
    }

    @Test("repetitions of nothing are nothing, however deep they are nested")
    func emptyRepetitions() throws {
        let pattern = try Self.pattern(String(repeating: "(", count: 40) + String(repeating: "){1000}", count: 40))
        #expect(Self.matches(pattern, "x") == true)
        let mixed = try Self.pattern("^(" + String(repeating: "()", count: 30_000) + "a){1000}$")
        #expect(Self.matches(mixed, String(repeating: "a", count: 1_000)) == true)
    }

    @Test("a class is looked up in it, not gone through")
    func largeClasses() throws {
        // 10,000 members, no two of them neighbours.
        let members = (0..<10_000).compactMap { Unicode.Scalar(0x20000 + 2 * $0) }.map(String.init).joined()
        let pattern = try Self.pattern("^[\(members)]*$")
        let text = String(repeating: "\u{24E1E}", count: 100_000)
        #expect(Self.matches(pattern, text) == true)
        #expect(Self.matches(pattern, text + "\u{24E1F}") == false)
        let negations = try Self.pattern("^[" + String(repeating: #"\D\P{L}"#, count: 5_000) + "]*$")
        #expect(Self.matches(negations, text) == true)
    }

    @Test("a pattern is paid for before it is looked at")
    func budget() {
        var budget = JSONSchemaBudget(steps: 100, bytes: 1 << 20)
        #expect(throws: JSONSchemaPattern.ParseError.self) {
            try JSONSchemaPattern(String(repeating: "a", count: 101), &budget)
        }
        #expect(budget.isExhausted)
        #expect(throws: JSONSchemaPattern.ParseError.self) {
            try Self.pattern("[" + String(repeating: "ab", count: 300_000) + "]")
        }
    }

    @Test(
        "malformed patterns", arguments: ["(", ")", "[a", "*a", "a**", "a{2,1}", "\\", "[z-a]", #"\u{110000}"#, #"\y"#])
    func malformed(pattern: String) {
        #expect(throws: JSONSchemaPattern.ParseError.self) { try Self.pattern(pattern) }
    }

    @Test(
        "patterns beyond the automaton are told apart from malformed ones",
        arguments: ["(?=a)", "(?!a)", "(?<=a)", #"(a)\1"#, #"\p{Script=Greek}"#, "(a{1000}){1000}", "a{5000}"])
    func unsupported(pattern: String) {
        do {
            _ = try Self.pattern(pattern)
            Issue.record("compiled")
        } catch {
            guard case .unsupported = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
