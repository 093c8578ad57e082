import TestSupport
import Testing

@testable import APIImport

@Suite struct ImportTextTests {
    @Test func textIsCutAtTheEndOfAWord() {
        #expect(ImportText.cut("  Finds \t an\n order. ", 40) == "Finds an order.")
        #expect(ImportText.cut("Finds an order.", 9) == "Finds an…")
        #expect(ImportText.cut("Finds", 3) == "…")
        #expect(ImportText.cut("a\u{1}b\u{7F}c", 9) == "abc")
        #expect(ImportText.cut("Über\u{2003}Größe", 20) == "Über Größe")
        #expect(ImportText.cut("", 20) == "")
    }

    /// Text in ASCII has a way of its own, which must give the same.
    @Test func asciiIsCutLikeEverythingElse() {
        var dice = SplitMix(seed: 18)
        let bytes: [UInt8] = Array("ab .\t\n\u{B}\u{C}\r\u{1}\u{1C}\u{1F}\u{7F}".utf8)
        for _ in 0..<5000 {
            let length = Int.random(in: 0...60, using: &dice)
            let text = String(decoding: (0..<length).map { _ in bytes.randomElement(using: &dice) ?? 0 }, as: UTF8.self)
            let count = Int.random(in: 1...20, using: &dice)
            #expect(
                ImportText.cut(text, count) == ImportText.cutScalars(text, count), "\(text.debugDescription) \(count)")
        }
    }
}
