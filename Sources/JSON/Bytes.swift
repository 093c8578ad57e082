/// Byte values of JSON's grammar, and word-at-a-time searches in string contents.
enum Byte {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")
    static let openBrace = UInt8(ascii: "{")
    static let closeBrace = UInt8(ascii: "}")
    static let openBracket = UInt8(ascii: "[")
    static let closeBracket = UInt8(ascii: "]")
    static let colon = UInt8(ascii: ":")
    static let comma = UInt8(ascii: ",")
    static let minus = UInt8(ascii: "-")
    static let zero = UInt8(ascii: "0")
    static let nine = UInt8(ascii: "9")

    /// Returns the value of a hexadecimal digit; nil for any other byte.
    @inline(__always)
    static func hexadecimal(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte &- UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte &- UInt8(ascii: "a") &+ 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte &- UInt8(ascii: "A") &+ 10)
        default: nil
        }
    }
}

/// Eight bytes at once. Each test sets the high bit of the bytes that match; bits above the *first* match may be wrong
/// (the subtraction borrows), so only the lowest set bit is used.
struct ByteWord {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080
    private let word: UInt64

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    private func matches(_ byte: UInt8) -> UInt64 {
        let difference = word ^ (Self.ones &* UInt64(byte))
        return (difference &- Self.ones) & ~difference
    }

    /// Distance to the first byte that ends a plain run of a string: quote, backslash, control or non-ASCII; 8 if none.
    @inline(__always)
    var distanceToSpecial: Int {
        let controls = (word &- Self.ones &* 0x20) & ~word
        let special = (matches(Byte.quote) | matches(Byte.backslash) | controls | word) & Self.highs
        return special.trailingZeroBitCount >> 3
    }

    /// Distance to the first quote or backslash; 8 if none.
    @inline(__always)
    var distanceToQuoteOrBackslash: Int {
        ((matches(Byte.quote) | matches(Byte.backslash)) & Self.highs).trailingZeroBitCount >> 3
    }

    /// Distance to the first byte that must be escaped in a string: quote, backslash or control; 8 if none.
    @inline(__always)
    var distanceToEscapable: Int {
        let controls = (word &- Self.ones &* 0x20) & ~word
        return ((matches(Byte.quote) | matches(Byte.backslash) | controls) & Self.highs).trailingZeroBitCount >> 3
    }
}

/// One to four UTF-8 code units of a scalar, without allocation.
struct UTF8Units: Sequence, IteratorProtocol {
    private var packed: UInt32
    private var remaining: Int

    @inline(__always)
    init(_ scalar: Unicode.Scalar) {
        let value = scalar.value
        switch value {
        case 0..<0x80:
            (packed, remaining) = (value, 1)
        case 0x80..<0x800:
            (packed, remaining) = (0xC0 | value >> 6 | (0x80 | value & 0x3F) << 8, 2)
        case 0x800..<0x10000:
            packed = 0xE0 | value >> 12 | (0x80 | value >> 6 & 0x3F) << 8 | (0x80 | value & 0x3F) << 16
            remaining = 3
        default:
            packed = 0xF0 | value >> 18 | (0x80 | value >> 12 & 0x3F) << 8 | (0x80 | value >> 6 & 0x3F) << 16
            packed |= (0x80 | value & 0x3F) << 24
            remaining = 4
        }
    }

    @inline(__always)
    mutating func next() -> UInt8? {
        guard remaining > 0 else { return nil }
        defer {
            packed >>= 8
            remaining -= 1
        }
        return UInt8(truncatingIfNeeded: packed)
    }
}
