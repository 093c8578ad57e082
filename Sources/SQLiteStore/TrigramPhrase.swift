/// Full-text expressions for the trigram index. They find candidates, which are compared with the whole query
/// afterwards.
enum TrigramPhrase {
    /// Largest number of scalars of the query that are looked up in the index; the rest is only compared.
    private static let indexedPrefix = 64
    /// Largest number of trigrams that are looked up as one phrase.
    private static let phraseTrigrams = 6
    /// Number of trigrams that are looked up of longer queries, the rarest ones: each list costs, those of frequent
    /// trigrams most, and four rare ones leave few candidates.
    private static let rarestTrigrams = 4

    /// Frequencies of the letters from a to z in text, in hundredths of a percent; other characters count as rare.
    private static let frequencies: [UInt16] = [
        820, 150, 280, 430, 1270, 220, 200, 610, 700, 15, 80, 400, 240, 670, 750, 190, 10, 600, 630, 910, 280, 100, 240,
        20, 200, 10,
    ]

    /// Returns the full-text expression for a literal substring of one of the columns; nil when the index cannot
    /// answer: fewer than three scalars do not make a trigram, SQLite reads an expression only up to a NUL, and U+FFFD
    /// may stand for bytes that are not UTF-8.
    static func expression(_ query: String, columns: [String]) -> String? {
        let scalars = Array(query.unicodeScalars.prefix(indexedPrefix))
        guard scalars.count >= 3, !scalars.contains("\0"), !scalars.contains("\u{FFFD}") else { return nil }
        let filter = "{\(columns.joined(separator: " "))} : "
        if scalars.count - 2 <= phraseTrigrams { return filter + quoted(scalars[...]) }
        var trigrams: [(text: String, weight: Int)] = []
        for start in 0..<scalars.count - 2 {
            let trigram = scalars[start..<start + 3]
            let text = quoted(trigram)
            guard !trigrams.contains(where: { $0.text == text }) else { continue }
            trigrams.append((text, trigram.reduce(1) { $0 * frequency($1) }))
        }
        let rarest = trigrams.sorted { $0.weight < $1.weight }.prefix(rarestTrigrams)
        return filter + "(" + rarest.map(\.text).joined(separator: " AND ") + ")"
    }

    private static func frequency(_ scalar: Unicode.Scalar) -> Int {
        switch scalar {
        case "a"..."z": Int(frequencies[Int(scalar.value - 0x61)])
        case "A"..."Z": Int(frequencies[Int(scalar.value - 0x41)])
        case " ": 1800
        case "0"..."9": 100
        default: 10
        }
    }

    private static func quoted(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var phrase = String.UnicodeScalarView()
        for scalar in scalars {
            phrase.append(scalar)
            if scalar == "\"" { phrase.append(scalar) }
        }
        return "\"\(String(phrase))\""
    }
}
