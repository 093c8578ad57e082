import Foundation
import Testing

@testable import JSON

@Suite("Combining marks")
struct CombiningMarksTests {
    /// Longest run of scalars that a comparison sorts.
    private static func longestRun(_ text: String) -> Int {
        var (run, longest) = (0, 0)
        for scalar in text.decomposedStringWithCanonicalMapping.unicodeScalars {
            run = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : run + 1
            longest = max(longest, run)
        }
        return longest
    }

    @Test(
        "a long run is divided, in every string that is read from JSON",
        arguments: ["\u{0301}\u{0316}", "\u{0F73}", "\u{1D165}", "\u{302A}", "\u{05B0}"])
    func dividesRuns(marks: String) throws {
        let text = "a" + String(repeating: marks, count: 5_000)
        let bounded = CombiningMarks.bounded(text)
        #expect(Self.longestRun(bounded) <= 2 * CombiningMarks.limit)
        #expect(bounded.unicodeScalars.filter { $0 != "\u{034F}" }.elementsEqual(text.unicodeScalars))
        #expect(CombiningMarks.bounded(bounded).unicodeScalars.elementsEqual(bounded.unicodeScalars))
        let escaped = marks.utf16.map { "\\u" + String(String($0, radix: 16).suffix(4)).leftPadded }.joined()
        for source in ["\"\(text)\"", "\"a" + String(repeating: escaped, count: 5_000) + "\""] {
            let read = try #require(try JSONValue(parsing: source).string)
            #expect(read.unicodeScalars.elementsEqual(bounded.unicodeScalars))
        }
        let object = try #require(try JSONValue(parsing: "{\"\(text)\":1}").object)
        #expect(object.keys.first.map(Self.longestRun) ?? .max <= 2 * CombiningMarks.limit)
    }

    @Test(
        "every other text stays as it is",
        arguments: [
            "", "plain", "e\u{301}", String(repeating: "e\u{301}", count: 5_000), String(repeating: "漢字", count: 5_000),
            String(repeating: "각", count: 1_000), String(repeating: "👩‍👩‍👧", count: 1_000),
            "a" + String(repeating: "\u{0301}", count: CombiningMarks.limit),
            String(repeating: "ขี้", count: 1_000), String(repeating: "x", count: 10_000),
        ])
    func keepsOthers(text: String) throws {
        #expect(CombiningMarks.bounded(text).unicodeScalars.elementsEqual(text.unicodeScalars))
        let read = try #require(try JSONValue(parsing: "\"\(text)\"").string)
        #expect(read.unicodeScalars.elementsEqual(text.unicodeScalars))
    }

    @Test("a run is found wherever it begins", arguments: 0..<160)
    func findsRuns(offset: Int) {
        let text = String(repeating: "x", count: offset) + String(repeating: "\u{0301}", count: 65)
        #expect(CombiningMarks.bounded(text) != text)
        #expect(CombiningMarks.bounded(text + "xyz").unicodeScalars.count == offset + 65 + 1 + 3)
    }
}

extension String {
    fileprivate var leftPadded: String { String(repeating: "0", count: max(0, 4 - count)) + self }
}
