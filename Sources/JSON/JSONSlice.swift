/// The six kinds of value of RFC 8259, section 3.
package enum JSONKind: UInt8, Hashable, Sendable, CustomStringConvertible {
    case null, bool, number, string, array, object

    package var description: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

/// A validated value inside a document: the byte range of its text, quotes included for strings.
///
/// Twelve bytes and no reference: offsets are 32 bits wide, so documents end at 2 GiB - 1. A slice is valid only
/// together with the very bytes from which it was scanned.
package struct JSONSlice: Hashable, Sendable {
    /// Type of the value.
    package let kind: JSONKind
    /// True for a string whose text contains a backslash; false for every other kind.
    package let hasEscapes: Bool
    private let lower: Int32
    private let upper: Int32

    init(_ kind: JSONKind, _ lower: Int, _ upper: Int, hasEscapes: Bool = false) {
        self.kind = kind
        self.hasEscapes = hasEscapes
        self.lower = Int32(truncatingIfNeeded: lower)
        self.upper = Int32(truncatingIfNeeded: upper)
    }

    /// Offset of the first byte.
    package var lowerBound: Int { Int(lower) }
    /// Offset after the last byte.
    package var upperBound: Int { Int(upper) }
    /// Length of the text in bytes, quotes included.
    package var count: Int { Int(upper) - Int(lower) }
    /// Range of the value's text in the scanned bytes.
    package var range: Range<Int> { Int(lower)..<Int(upper) }

    /// Range of a string's text inside its quotes, escapes unchanged; for other kinds the same as `range`.
    package var content: Range<Int> {
        // A slice of other bytes than the scanned ones may be shorter than its quotes.
        kind == .string ? Int(lower) + 1..<max(Int(lower) + 1, Int(upper) - 1) : range
    }

    /// Returns the same value in a buffer whose first byte lies `offset` bytes later (or, negative, earlier).
    package func shifted(by offset: Int) -> JSONSlice {
        JSONSlice(kind, lowerBound + offset, upperBound + offset, hasEscapes: hasEscapes)
    }
}

/// A member `"key": value` of an object, as slices.
package struct JSONMember: Hashable, Sendable {
    /// Name with its quotation marks.
    package let key: JSONSlice
    /// Value of the member.
    package let value: JSONSlice

    init(key: JSONSlice, value: JSONSlice) {
        self.key = key
        self.value = value
    }
}
