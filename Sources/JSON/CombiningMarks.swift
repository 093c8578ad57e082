/// Bound on the combining marks that follow one another in a text from outside.
///
/// Swift compares and hashes strings in their normalised form, for which all marks between two base letters are sorted:
/// the time grows with the square of their number, and a comparison with 300 KB of them takes half a minute. A text with
/// a longer run becomes stream-safe text (Unicode Standard Annex #15, section 13): an invisible character, the combining
/// grapheme joiner, divides the run. Every other text stays as it is.
package enum CombiningMarks {
    /// Largest number of marks in a row. The annex allows 30; texts that are decorated with marks for fun have up to 50.
    package static let limit = 64

    /// Combining grapheme joiner.
    private static let joiner: Unicode.Scalar = "\u{034F}"
    /// Smallest size in bytes of a run beyond the limit: a mark has at least two, and all of them are non-ASCII.
    private static let shortestRun = 2 * (limit + 1)

    /// Returns the text with its runs of marks divided.
    package static func bounded(_ text: String) -> String {
        var text = text
        let hasCandidate = text.withUTF8 { isSuspect(UnsafeRawBufferPointer($0)) }
        guard hasCandidate, hasLongRun(text) else { return text }
        var bounded = String.UnicodeScalarView()
        var marks = 0
        for scalar in text.unicodeScalars {
            if isMark(scalar) {
                if marks == limit {
                    bounded.append(joiner)
                    marks = 0
                }
                marks += 1
            } else {
                marks = 0
            }
            bounded.append(scalar)
        }
        return String(bounded)
    }

    /// Returns whether as many non-ASCII bytes follow one another as a long run has. Looks at few of the other bytes.
    static func isSuspect(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var place = shortestRun - 1
        while place < bytes.count {
            guard bytes[place] >= 0x80 else {
                place += shortestRun
                continue
            }
            var start = place
            while start > 0, bytes[start - 1] >= 0x80 { start -= 1 }
            var end = place + 1
            while end < bytes.count, bytes[end] >= 0x80 { end += 1 }
            if end - start >= shortestRun { return true }
            place = end + shortestRun - 1
        }
        return false
    }

    private static func hasLongRun(_ text: String) -> Bool {
        var marks = 0
        for scalar in text.unicodeScalars {
            marks = isMark(scalar) ? marks + 1 : 0
            if marks > limit { return true }
        }
        return false
    }

    /// Returns whether a scalar, or the first one of its decomposition, has a combining class.
    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Without marks: ASCII to Latin, Han, Yi, Hangul.
        case ..<0x300, 0x3400...0xA66E, 0xAC00...0xFB1D: false
        // Tibetan vowels, which consist of two marks each.
        case 0x0F73, 0x0F75, 0x0F81: true
        default: scalar.properties.canonicalCombiningClass != .notReordered
        }
    }
}
