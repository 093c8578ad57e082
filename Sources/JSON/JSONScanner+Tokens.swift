extension JSONScanner {
    @inline(__always)
    func skipWhiteSpace(_ start: Int) -> Int {
        var position = start
        while position < bytes.count {
            let byte = bytes[position]
            // One comparison for the usual case: no white space.
            if byte > 0x20 { break }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { break }
            position += 1
        }
        return position
    }

    /// Returns the offset of the value after `key` and its colon.
    @inline(__always)
    func colon(after key: JSONSlice) throws(JSONError) -> Int {
        let position = skipWhiteSpace(key.upperBound)
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        guard bytes[position] == Byte.colon else { throw JSONError(.syntax, at: position) }
        return skipWhiteSpace(position + 1)
    }

    /// Scans a string (RFC 8259, section 7). Plain ASCII is read eight bytes at a time.
    func string(at start: Int) throws(JSONError) -> JSONSlice {
        guard start < bytes.count else { throw JSONError(.unexpectedEnd, at: start) }
        guard bytes[start] == Byte.quote else { throw JSONError(.syntax, at: start) }
        let end = bytes.count
        var position = start + 1
        var hasEscapes = false
        while true {
            while position + 8 <= end {
                let distance = ByteWord(bytes, at: position).distanceToSpecial
                position += distance
                if distance < 8 { break }
            }
            guard position < end else { throw JSONError(.unexpectedEnd, at: end) }
            let byte = bytes[position]
            if byte == Byte.quote {
                return JSONSlice(.string, start, position + 1, hasEscapes: hasEscapes)
            } else if byte == Byte.backslash {
                hasEscapes = true
                position = try escapeEnd(at: position)
            } else if byte >= 0x80 {
                repeat {
                    position = try sequenceEnd(at: position)
                } while position < end && bytes[position] >= 0x80
            } else if byte < 0x20 {
                throw JSONError(.syntax, at: position)
            } else {
                position += 1
            }
        }
    }

    private func escapeEnd(at start: Int) throws(JSONError) -> Int {
        guard start + 1 < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
        switch bytes[start + 1] {
        case Byte.quote, Byte.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start + 2
        case UInt8(ascii: "u"):
            // Half a surrogate pair is valid by the grammar of RFC 8259, and JavaScript writes it; there is no such
            // character in text (see `JSONText`).
            try checkDigits(at: start + 2)
            return start + 6
        default:
            throw JSONError(.syntax, at: start + 1)
        }
    }

    /// Checks four hexadecimal digits.
    private func checkDigits(at start: Int) throws(JSONError) {
        for position in start..<start + 4 {
            guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
            guard Byte.hexadecimal(bytes[position]) != nil else { throw JSONError(.syntax, at: position) }
        }
    }

    /// Returns the end of one UTF-8 sequence of two to four bytes (Unicode 16, table 3-7).
    @inline(__always)
    private func sequenceEnd(at start: Int) throws(JSONError) -> Int {
        let lead = bytes[start]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: length = 4
        default: throw JSONError(.invalidUTF8, at: start)
        }
        guard start + length <= bytes.count, second.contains(bytes[start + 1]) else {
            throw JSONError(.invalidUTF8, at: start)
        }
        if length > 2, bytes[start + 2] & 0xC0 != 0x80 { throw JSONError(.invalidUTF8, at: start) }
        if length > 3, bytes[start + 3] & 0xC0 != 0x80 { throw JSONError(.invalidUTF8, at: start) }
        return start + length
    }

    /// Returns the end of a literal name or number at `start`, which lies inside the input.
    func scalar(at start: Int) throws(JSONError) -> Int {
        switch bytes[start] {
        case UInt8(ascii: "t"): try literal("true", at: start)
        case UInt8(ascii: "f"): try literal("false", at: start)
        case UInt8(ascii: "n"): try literal("null", at: start)
        case Byte.minus, Byte.zero...Byte.nine: try number(at: start)
        default: throw JSONError(.syntax, at: start)
        }
    }

    private func literal(_ name: StaticString, at start: Int) throws(JSONError) -> Int {
        for index in 0..<name.utf8CodeUnitCount {
            guard start + index < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
            guard bytes[start + index] == name.utf8Start[index] else { throw JSONError(.syntax, at: start + index) }
        }
        return start + name.utf8CodeUnitCount
    }

    /// Scans a number (RFC 8259, section 6).
    private func number(at start: Int) throws(JSONError) -> Int {
        var position = start
        if bytes[position] == Byte.minus { position += 1 }
        if position < bytes.count, bytes[position] == Byte.zero {
            position += 1
        } else {
            position = try digits(at: position)
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position = try digits(at: position + 1)
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == Byte.minus {
                position += 1
            }
            position = try digits(at: position)
        }
        return position
    }

    /// Scans one digit or more.
    @inline(__always)
    private func digits(at start: Int) throws(JSONError) -> Int {
        var position = start
        while position < bytes.count, bytes[position] &- Byte.zero < 10 { position += 1 }
        guard position > start else {
            throw JSONError(position < bytes.count ? .syntax : .unexpectedEnd, at: position)
        }
        return position
    }
}
