import Testing

@testable import JSON

@Suite struct PrintableTextTests {
    @Test func whatALogHoldsShowsAsItself() {
        #expect("/a\u{202E}b\u{85}\u{2028}".escapedForLog == "/a\\u{202E}b\\u{85}\\u{2028}")
        #expect("/ä/日本\t\n".escapedForLog == "/ä/日本\t\n")
        #expect("a\u{0}b".printable == "a\u{FFFD}b" && String(repeating: "x", count: 300).printable.count == 200)
    }

    @Test func whatAReviewerReadsIsWhatAMachineReads() throws {
        let value: JSONValue = ["a": "x\u{200B}y\u{202E}z\u{FE0F}\u{3164}\u{E0041}\u{85} ä日本"]
        let text = value.prettyText.escapedJSON
        #expect(
            text == "{\n  \"a\": \"x\\u200by\\u202ez\\ufe0f\\u3164\\udb40\\udc41\\u0085 ä日本\"\n}")
        #expect(try JSONValue(parsing: Array(text.utf8)) == value)
    }
}
