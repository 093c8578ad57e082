/// One JSON value as its text, which a scanner has accepted: it is passed on byte for byte, without a tree.
package struct JSONFragment: Hashable, Sendable {
    /// Text of the value, without white space around it.
    package let bytes: [UInt8]
    private let slice: JSONSlice

    /// Copies the text of a slice that a scanner has accepted in these bytes.
    package init(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        self.bytes = Array(bytes[slice.range.clamped(to: 0..<bytes.count)])
        self.slice = slice.shifted(by: -slice.lowerBound)
    }

    /// Writes a value.
    package init(_ value: JSONValue) {
        bytes = value.serialized
        slice = JSONSlice(value.kind, 0, bytes.count)
    }

    /// Type of the value.
    package var kind: JSONKind { slice.kind }

    /// The value as a tree; of duplicate keys the last value counts.
    package var value: JSONValue { withSlice { JSONValue($0, in: $1) } }

    /// The text with blanks in place of line breaks, which are white space between tokens: strings have none.
    package var singleLine: JSONFragment {
        guard bytes.contains(where: Self.isLineBreak) else { return self }
        return JSONFragment(slice, text: bytes.map { Self.isLineBreak($0) ? UInt8(ascii: " ") : $0 })
    }

    /// Calls the closure with the value as a slice and the bytes in which it lies.
    /// - Throws: The closure's error.
    package func withSlice<Value>(_ body: (JSONSlice, UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        try bytes.withUnsafeBytes { try body(slice, $0) }
    }

    private init(_ slice: JSONSlice, text: [UInt8]) {
        bytes = text
        self.slice = slice
    }

    private static func isLineBreak(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
}
