/// Traversal of values that a scanner has accepted: nothing is validated again, so the slice must come from a scan of
/// these very bytes. Every loop still ends at the slice's end, whatever the bytes are.
extension JSONScanner {
    /// Visits the members of an object in order, duplicates included, until `visit` returns false.
    package static func members(
        of object: JSONSlice, in bytes: UnsafeRawBufferPointer, _ visit: (JSONMember) -> Bool
    ) {
        guard object.kind == .object, object.count >= 2, object.upperBound <= bytes.count else { return }
        let walker = JSONWalker(bytes: bytes, end: object.upperBound - 1)
        var position = walker.skipSeparators(object.lowerBound + 1)
        while position < walker.end {
            let key = walker.value(at: position)
            position = walker.skipSeparators(key.upperBound)
            guard position < walker.end else { return }
            let value = walker.value(at: position)
            guard visit(JSONMember(key: key, value: value)) else { return }
            position = walker.skipSeparators(value.upperBound)
        }
    }

    /// Visits the elements of an array in order until `visit` returns false.
    package static func elements(
        of array: JSONSlice, in bytes: UnsafeRawBufferPointer, _ visit: (JSONSlice) -> Bool
    ) {
        guard array.kind == .array, array.count >= 2, array.upperBound <= bytes.count else { return }
        let walker = JSONWalker(bytes: bytes, end: array.upperBound - 1)
        var position = walker.skipSeparators(array.lowerBound + 1)
        while position < walker.end {
            let value = walker.value(at: position)
            guard visit(value) else { return }
            position = walker.skipSeparators(value.upperBound)
        }
    }

    /// Returns the place behind the last element of an array that is to be cut after so many elements; nil for an array that
    /// has no more than that, for another value, and for 0, which means no limit.
    package static func end(
        of array: JSONSlice, cutAfter limit: Int, in bytes: UnsafeRawBufferPointer
    ) -> Int? {
        guard limit > 0 else { return nil }
        var count = 0
        var end: Int?
        var isLonger = false
        elements(of: array, in: bytes) { element in
            count += 1
            if count == limit { end = element.upperBound }
            isLonger = count > limit
            return !isLonger
        }
        return isLonger ? end : nil
    }

    /// Returns the last member of `object` whose unescaped key is `key`; nil too when `object` is of another kind.
    package static func member(_ key: String, of object: JSONSlice, in bytes: UnsafeRawBufferPointer) -> JSONSlice? {
        var key = key
        return key.withUTF8 { utf8 in
            member(UnsafeRawBufferPointer(utf8), of: object, in: bytes)
        }
    }

    /// Returns the last member with a literal key.
    package static func member(
        _ key: StaticString, of object: JSONSlice, in bytes: UnsafeRawBufferPointer
    ) -> JSONSlice? {
        key.withUTF8Buffer { utf8 in
            member(UnsafeRawBufferPointer(utf8), of: object, in: bytes)
        }
    }

    private static func member(
        _ key: UnsafeRawBufferPointer, of object: JSONSlice, in bytes: UnsafeRawBufferPointer
    ) -> JSONSlice? {
        var found: JSONSlice?
        members(of: object, in: bytes) { member in
            if JSONText.equals(member.key, key, in: bytes) { found = member.value }
            return true
        }
        return found
    }
}

/// Traversal that finds the ends of values in text that is known to be valid.
struct JSONWalker {
    let bytes: UnsafeRawBufferPointer
    /// Offset at which the traversal ends.
    let end: Int

    /// Skips white space, commas and colons: in valid text they occur only in their proper places.
    @inline(__always)
    func skipSeparators(_ start: Int) -> Int {
        var position = start
        while position < end {
            let byte = bytes[position]
            guard byte <= 0x20 || byte == Byte.comma || byte == Byte.colon else { break }
            position += 1
        }
        return position
    }

    func value(at start: Int) -> JSONSlice {
        switch bytes[start] {
        case Byte.quote: string(at: start)
        case Byte.openBrace: JSONSlice(.object, start, containerEnd(at: start))
        case Byte.openBracket: JSONSlice(.array, start, containerEnd(at: start))
        case UInt8(ascii: "t"), UInt8(ascii: "f"): JSONSlice(.bool, start, scalarEnd(at: start))
        case UInt8(ascii: "n"): JSONSlice(.null, start, scalarEnd(at: start))
        default: JSONSlice(.number, start, scalarEnd(at: start))
        }
    }

    func string(at start: Int) -> JSONSlice {
        var position = start + 1
        var hasEscapes = false
        while position < end {
            while position + 8 <= end {
                let distance = ByteWord(bytes, at: position).distanceToQuoteOrBackslash
                position += distance
                if distance < 8 { break }
            }
            guard position < end else { break }
            switch bytes[position] {
            case Byte.quote:
                return JSONSlice(.string, start, position + 1, hasEscapes: hasEscapes)
            case Byte.backslash:
                hasEscapes = true
                position += 2
            default:
                position += 1
            }
        }
        return JSONSlice(.string, start, end, hasEscapes: hasEscapes)
    }

    private func containerEnd(at start: Int) -> Int {
        var position = start
        var depth = 0
        while position < end {
            switch bytes[position] {
            case Byte.quote:
                position = string(at: position).upperBound
                continue
            case Byte.openBrace, Byte.openBracket:
                depth += 1
            case Byte.closeBrace, Byte.closeBracket:
                depth -= 1
                if depth == 0 { return position + 1 }
            default:
                break
            }
            position += 1
        }
        return end
    }

    func scalarEnd(at start: Int) -> Int {
        var position = start + 1
        while position < end {
            let byte = bytes[position]
            guard byte > 0x20, byte != Byte.comma, byte != Byte.closeBrace, byte != Byte.closeBracket else { break }
            position += 1
        }
        return position
    }
}
