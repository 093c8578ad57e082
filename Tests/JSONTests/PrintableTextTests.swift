import Testing

@testable import JSON

@Suite struct PrintableTextTests {
    @Test func whatALogHoldsShowsAsItself() {
        #expect("/a\u{202E}b\u{85}\u{2028}".escapedForLog == "/a\\u{202E}b\\u{85}\\u{2028}")
        #expect("/ä/日本\t\n".escapedForLog == "/ä/日本\t\n")
        #expect("a\u{0}b".printable == "a\u{FFFD}b" && String(repeating: "x", count: 300).printable.count == 200)
    }
}
