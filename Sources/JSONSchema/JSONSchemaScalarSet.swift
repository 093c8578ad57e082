/// A set of Unicode scalars: ranges in order and general categories, possibly negated.
struct JSONSchemaScalarSet: Sendable {
    /// Ranges in ascending order, with gaps between them.
    private(set) var ranges: [ClosedRange<UInt32>] = []
    /// Bit set of general categories.
    private var categories: UInt32 = 0
    private var isNegated = false

    private static let last: UInt32 = 0x10FFFF

    init(_ ranges: ClosedRange<UInt32>...) {
        self.init(ranges)
    }

    /// Sorts the ranges and joins those that touch.
    init(_ ranges: [ClosedRange<UInt32>], categories: UInt32 = 0, isNegated: Bool = false) {
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let before = self.ranges.last, range.lowerBound <= before.upperBound &+ 1 {
                self.ranges[self.ranges.count - 1] =
                    before.lowerBound...max(before.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
        self.categories = categories
        self.isNegated = isNegated
    }

    init(categories: Set<Unicode.GeneralCategory>, isNegated: Bool) {
        let bits = categories.reduce(0) { $0 | Self.bit($1) }
        self.categories = isNegated ? ~bits : bits
    }

    /// Creates the union of several sets, none of them negated with categories in it, or the scalars outside of it.
    init(unionOf sets: [JSONSchemaScalarSet], isNegated: Bool) {
        self.init(
            sets.flatMap(\.plainRanges), categories: sets.reduce(0) { $0 | $1.categories }, isNegated: isNegated)
    }

    /// Ranges that are not negated.
    private var plainRanges: [ClosedRange<UInt32>] {
        guard isNegated else { return ranges }
        var (gaps, next): ([ClosedRange<UInt32>], UInt32) = ([], 0)
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
            next = range.upperBound &+ 1
        }
        if next <= Self.last { gaps.append(next...Self.last) }
        return gaps
    }

    private static func bit(_ category: Unicode.GeneralCategory) -> UInt32 {
        // 30 categories of Unicode in a fixed order.
        UInt32(1) << UInt32(order.firstIndex(of: category) ?? 31)
    }

    private static let order: [Unicode.GeneralCategory] = [
        .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
        .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber, .connectorPunctuation,
        .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
        .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol, .spaceSeparator,
        .lineSeparator, .paragraphSeparator, .control, .format, .surrogate, .privateUse, .unassigned,
    ]

    /// Cost of a look-up, in instructions.
    var cost: Int { ranges.count < 4 && categories == 0 ? 1 : 8 }

    /// Returns whether the scalar belongs to the set.
    func contains(_ scalar: Unicode.Scalar) -> Bool {
        (isInRanges(scalar.value) || categories != 0 && categories & Self.bit(scalar.properties.generalCategory) != 0)
            != isNegated
    }

    private func isInRanges(_ value: UInt32) -> Bool {
        var (lower, upper) = (0, ranges.count)
        while lower < upper {
            let middle = (lower + upper) / 2
            if ranges[middle].upperBound < value { lower = middle + 1 } else { upper = middle }
        }
        return lower < ranges.count && ranges[lower].contains(value)
    }

    /// Set of the scalars outside of this one.
    var inverted: JSONSchemaScalarSet {
        var copy = self
        copy.isNegated.toggle()
        return copy
    }

    /// The set's only scalar, when it has exactly one.
    var single: UInt32? {
        guard !isNegated, categories == 0, ranges.count == 1, ranges[0].lowerBound == ranges[0].upperBound else {
            return nil
        }
        return ranges[0].lowerBound
    }

    static let digit = JSONSchemaScalarSet(0x30...0x39)
    static let word = JSONSchemaScalarSet(0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A)
    static let space = JSONSchemaScalarSet(
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF)
    /// Set that `.` matches: everything but line terminators.
    static let anything = JSONSchemaScalarSet(0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029).inverted
}
