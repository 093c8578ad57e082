import JSON

/// The old Python API's rules for missing values and for trimming, applied to JSON slices.
enum PythonValue {
    /// Returns whether Python calls the decoded value false: null, false, any zero (`0.0`, `-0`, `0e5`, and what underflows to zero),
    /// `""`, `[]` and `{}`.
    static func isFalsy(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        switch slice.kind {
        case .null: true
        case .bool: bytes[slice.lowerBound] == UInt8(ascii: "f")
        case .string: slice.count == 2
        case .number: isZero(slice, in: bytes)
        case .array, .object:
            slice.content.dropFirst().dropLast().allSatisfy { bytes[$0] <= 0x20 }
        }
    }

    private static func isZero(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        var isInteger = true
        for position in slice.range {
            switch bytes[position] {
            case UInt8(ascii: "0"), UInt8(ascii: "-"): continue
            case UInt8(ascii: "."): isInteger = false
            case UInt8(ascii: "e"), UInt8(ascii: "E"): return true  // Only zeros so far: the exponent changes nothing.
            default:
                // An integer with a digit is not zero; a fraction still underflows when it is small enough.
                if isInteger, !hasFraction(slice, in: bytes) { return false }
                return Double(JSONText.source(slice, in: bytes)) == 0
            }
        }
        return true
    }

    private static func hasFraction(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        slice.range.contains { bytes[$0] == UInt8(ascii: ".") || bytes[$0] | 0x20 == UInt8(ascii: "e") }
    }

    /// Returns the part of a string's content (inside the quotes) that remains after trimming as Python's `str.strip`
    /// does; white space counts written raw or as an escape. U+200B and U+FEFF stay, as they do in Python.
    static func trimmed(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Range<Int> {
        let content = slice.content
        guard slice.kind == .string else { return content }
        let inside = UnsafeRawBufferPointer(rebasing: bytes[..<content.upperBound])
        var lower = content.lowerBound
        while lower < content.upperBound, let length = spaceLength(at: lower, in: inside) { lower += length }
        return lower..<(slice.hasEscapes ? endByWalking(lower, inside) : endFromBehind(lower, inside))
    }

    /// Returns the end of the trimmed content. Escapes can only be read forwards, so that the end of the last character
    /// that stays is remembered on the way.
    private static func endByWalking(_ start: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
        var position = start
        var end = start
        while position < bytes.count {
            if let length = spaceLength(at: position, in: bytes) {
                position += length
            } else {
                position += bytes[position] == UInt8(ascii: "\\") ? JSONText.escape(at: position, in: bytes).length : 1
                end = position
            }
        }
        return end
    }

    private static func endFromBehind(_ start: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
        var end = bytes.count
        next: while end > start {
            for length in 1...3 where end - length >= start {
                if spaceLength(at: end - length, in: bytes) == length {
                    end -= length
                    continue next
                }
            }
            break
        }
        return end
    }

    /// Returns the length in bytes of the white space character at `start`, raw or escaped; nil when there is none.
    private static func spaceLength(at start: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
        let lead = bytes[start]
        switch lead {
        case UInt8(ascii: "\\"):
            let (scalar, length) = JSONText.escape(at: start, in: bytes)
            return isSpace(scalar.value) ? length : nil
        case 0..<0x80:
            return isSpace(UInt32(lead)) ? 1 : nil
        case 0xC2:
            guard start + 1 < bytes.count else { return nil }
            return isSpace(UInt32(bytes[start + 1])) ? 2 : nil
        case 0xE1...0xE3:
            guard start + 2 < bytes.count else { return nil }
            let value =
                UInt32(lead & 0x0F) << 12 | UInt32(bytes[start + 1] & 0x3F) << 6 | UInt32(bytes[start + 2] & 0x3F)
            return isSpace(value) ? 3 : nil
        default:
            return nil
        }
    }

    /// Returns whether Python's `str.isspace` is true for a scalar.
    private static func isSpace(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }
}
