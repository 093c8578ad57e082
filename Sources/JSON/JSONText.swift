/// Reading and writing of the text of strings and scalars without a tree.
///
/// Slices must come from a scan of the bytes that are passed with them.
package enum JSONText {
    /// Returns whether a string slice means `text`, decoding escapes on the way; false for other kinds. Byte for byte:
    /// no Unicode normalisation.
    package static func equals(_ slice: JSONSlice, _ text: String, in bytes: UnsafeRawBufferPointer) -> Bool {
        var text = text
        return text.withUTF8 { equals(slice, UnsafeRawBufferPointer($0), in: bytes) }
    }

    /// Returns the same for a literal.
    package static func equals(_ slice: JSONSlice, _ text: StaticString, in bytes: UnsafeRawBufferPointer) -> Bool {
        text.withUTF8Buffer { equals(slice, UnsafeRawBufferPointer($0), in: bytes) }
    }

    /// Returns the same for UTF-8 bytes.
    package static func equals(
        _ slice: JSONSlice, _ utf8: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer
    ) -> Bool {
        guard slice.kind == .string else { return false }
        let content = slice.content
        guard slice.hasEscapes else {
            return areEqual(UnsafeRawBufferPointer(rebasing: bytes[content]), utf8)
        }
        var position = content.lowerBound
        var index = 0
        while position < content.upperBound {
            if bytes[position] == Byte.backslash {
                let (scalar, length) = escape(at: position, in: bytes)
                for unit in UTF8Units(scalar) {
                    guard index < utf8.count, utf8[index] == unit else { return false }
                    index += 1
                }
                position += length
            } else {
                guard index < utf8.count, utf8[index] == bytes[position] else { return false }
                index += 1
                position += 1
            }
        }
        return index == utf8.count
    }

    /// Returns whether two sequences of bytes are equal, comparing eight at a time.
    package static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        var index = 0
        while index + 8 <= left.count {
            let word = left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            guard word == right.loadUnaligned(fromByteOffset: index, as: UInt64.self) else { return false }
            index += 8
        }
        while index < left.count {
            guard left[index] == right[index] else { return false }
            index += 1
        }
        return true
    }

    /// Returns the decoded text of a string slice; for other kinds their JSON text. Longer runs of combining marks than
    /// ``CombiningMarks/limit`` are divided.
    package static func string(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> String {
        let text = exactString(slice, in: bytes)
        return slice.content.count > CombiningMarks.limit ? CombiningMarks.bounded(text) : text
    }

    private static func exactString(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> String {
        let content = slice.content
        let source = UnsafeRawBufferPointer(rebasing: bytes[content])
        guard slice.hasEscapes else { return String(decoding: source, as: UTF8.self) }
        // Decoding escapes never lengthens: \u0000 is six bytes, a pair of them twelve.
        return String(unsafeUninitializedCapacity: content.count) { target in
            var count = 0
            forEachUnescapedByte(source) { byte in
                target[count] = byte
                count += 1
            }
            return count
        }
    }

    /// Returns the JSON text of a slice, quotes and escapes included.
    package static func source(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: bytes[slice.range]), as: UTF8.self)
    }

    /// Appends the decoded text of a string slice as UTF-8; for other kinds their JSON text.
    package static func appendUnescaped(
        _ slice: JSONSlice, in bytes: UnsafeRawBufferPointer, to target: inout [UInt8]
    ) {
        let source = UnsafeRawBufferPointer(rebasing: bytes[slice.content])
        guard slice.hasEscapes else {
            target.append(contentsOf: source)
            return
        }
        target.reserveCapacity(target.count + source.count)
        forEachUnescapedByte(source) { target.append($0) }
    }

    /// Returns the number of code points in a string slice's decoded text, as JSON Schema counts lengths.
    package static func scalarCount(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Int {
        let content = slice.content
        var position = content.lowerBound
        var count = 0
        while position < content.upperBound {
            count += 1
            if bytes[position] == Byte.backslash {
                position += escape(at: position, in: bytes).length
            } else {
                position += 1
                while position < content.upperBound, bytes[position] & 0xC0 == 0x80 { position += 1 }
            }
        }
        return count
    }

    @inline(__always)
    private static func forEachUnescapedByte(_ source: UnsafeRawBufferPointer, _ body: (UInt8) -> Void) {
        var position = 0
        while position < source.count {
            let byte = source[position]
            if byte == Byte.backslash {
                let (scalar, length) = escape(at: position, in: source)
                for unit in UTF8Units(scalar) { body(unit) }
                position += length
            } else {
                body(byte)
                position += 1
            }
        }
    }

    /// Returns the scalar of a validated escape at `start`, and the escape's length in bytes: twelve for a surrogate
    /// pair; half a pair gives U+FFFD.
    package static func escape(
        at start: Int, in bytes: UnsafeRawBufferPointer
    ) -> (scalar: Unicode.Scalar, length: Int) {
        guard start + 1 < bytes.count else { return ("\u{FFFD}", 1) }
        switch bytes[start + 1] {
        case UInt8(ascii: "b"): return ("\u{08}", 2)
        case UInt8(ascii: "f"): return ("\u{0C}", 2)
        case UInt8(ascii: "n"): return ("\n", 2)
        case UInt8(ascii: "r"): return ("\r", 2)
        case UInt8(ascii: "t"): return ("\t", 2)
        case UInt8(ascii: "u"): return unicodeEscape(at: start, in: bytes)
        case let byte: return (Unicode.Scalar(byte), 2)
        }
    }

    private static func unicodeEscape(
        at start: Int, in bytes: UnsafeRawBufferPointer
    ) -> (scalar: Unicode.Scalar, length: Int) {
        let first = codeUnit(at: start + 2, in: bytes)
        guard first & 0xFC00 == 0xD800, start + 11 < bytes.count, bytes[start + 6] == Byte.backslash,
            bytes[start + 7] == UInt8(ascii: "u")
        else { return (Unicode.Scalar(first) ?? "\u{FFFD}", 6) }
        let second = codeUnit(at: start + 8, in: bytes)
        guard second & 0xFC00 == 0xDC00 else { return ("\u{FFFD}", 6) }
        return (Unicode.Scalar(0x10000 + ((first & 0x3FF) << 10 | (second & 0x3FF))) ?? "\u{FFFD}", 12)
    }

    private static func codeUnit(at start: Int, in bytes: UnsafeRawBufferPointer) -> UInt32 {
        var unit: UInt32 = 0
        for position in start..<min(start + 4, bytes.count) {
            unit = unit << 4 | (Byte.hexadecimal(bytes[position]) ?? 0)
        }
        return unit
    }
}
