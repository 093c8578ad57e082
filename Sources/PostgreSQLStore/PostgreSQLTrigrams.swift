import Store

/// Frequencies of trigrams in a table, estimated from some of its rows.
///
/// For a whole phrase, an index on trigrams intersects the rows of all of its trigrams, frequent ones included, which
/// dominates the cost. The rarest few of them find nearly the same rows at a tenth of it.
struct PostgreSQLTrigrams: Sendable {
    /// Number of rows that are read for the estimate.
    static let sample = 2000
    /// Largest number of trigrams that are looked up.
    private static let maximum = 3
    /// Number of expected rows below which looking up more trigrams costs more than reading those rows.
    private static let fewRows = 100.0

    private var counts: [UInt64: Int] = [:]
    private var rows = 0
    /// Number of rows of the whole table.
    let total: Double

    init(total: Double) {
        self.total = total
    }

    /// Counts the trigrams in the folded text of a row.
    mutating func add(_ text: String) {
        rows += 1
        var seen: Set<UInt64> = []
        Self.forEach(text.unicodeScalars) { key, _ in
            if seen.insert(key).inserted { counts[key, default: 0] += 1 }
        }
    }

    /// Trigrams to look up in the index.
    struct Choice: Equatable {
        /// Trigrams, the rarest first, in the query's own letters; empty when the query has none.
        var trigrams: [String] = []
        /// Share of rows, from 0 to 1, that contain the rarest of them.
        var share = 1.0
        /// Expected number of rows that contain all of them.
        var expectedRows: Double
    }

    /// Returns the rarest trigrams of a query.
    func rarest(of query: some Collection<Unicode.Scalar>) -> Choice {
        var candidates: [UInt64: (text: String, share: Double)] = [:]
        Self.forEach(query) { key, text in
            let share = (Double(counts[key] ?? 0) + 0.3) / Double(max(rows, 1))
            candidates[key] = (text, min(share, 1))
        }
        var choice = Choice(expectedRows: max(total, 1))
        for candidate in candidates.values.sorted(by: { ($0.share, $0.text) < ($1.share, $1.text) }) {
            if choice.trigrams.isEmpty { choice.share = candidate.share }
            choice.trigrams.append(candidate.text)
            // Trigrams of one word occur together: the next one narrows the result less than its share suggests.
            choice.expectedRows *= choice.trigrams.count == 1 ? candidate.share : candidate.share.squareRoot()
            if choice.trigrams.count == Self.maximum || choice.expectedRows <= Self.fewRows { break }
        }
        return choice
    }

    /// Calls `body` with each sequence of three letters or digits, which the index knows, folded for the key.
    private static func forEach(_ scalars: some Collection<Unicode.Scalar>, _ body: (UInt64, String) -> Void) {
        var key: UInt64 = 0
        var run: [Unicode.Scalar] = []
        for scalar in scalars {
            guard isIndexed(scalar) else {
                run = []
                continue
            }
            key = (key << 21 | UInt64(CaseFolding.fold(scalar).value)) & (1 << 63 - 1)
            if run.count == 3 { run.removeFirst() }
            run.append(scalar)
            if run.count == 3 { body(key, String(String.UnicodeScalarView(run))) }
        }
    }

    private static func isIndexed(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (0x30...0x39).contains(scalar.value) || (0x61...0x7A).contains(scalar.value | 0x20) }
        return scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }
}
