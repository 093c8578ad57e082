/// Validating scanner over borrowed bytes: RFC 8259, UTF-8, no byte order mark, a depth limit.
///
/// An escape of half a surrogate pair (`\ud83d` alone) is valid by the grammar. It is kept where bytes are passed on;
/// where text is made, it becomes U+FFFD.
///
/// One pass, no allocation, no recursion: open containers are one bit each. The results are byte ranges; nothing is
/// decoded. The bytes must stay alive and unchanged while the scanner or its slices are in use.
package struct JSONScanner {
    /// Default of the largest number of levels of `[` and `{`; one more is `.tooDeep`.
    package static let defaultMaximumDepth = 64
    /// Largest possible limit; larger ones are reduced to this one.
    package static let largestMaximumDepth = 512

    let bytes: UnsafeRawBufferPointer
    private let maximumDepth: Int
    /// Bit n is set if the open container at level n is an object.
    private var objects: InlineArray<8, UInt64> = .init(repeating: 0)

    /// - Parameter maximumDepth: Largest number of levels, 0...512; a scalar document has depth 0.
    package init(_ bytes: UnsafeRawBufferPointer, maximumDepth: Int = JSONScanner.defaultMaximumDepth) {
        self.bytes = bytes
        self.maximumDepth = min(max(maximumDepth, 0), Self.largestMaximumDepth)
    }

    /// Validates the whole input as one value, white space around it allowed.
    /// - Throws: ``JSONError`` naming the offset.
    package mutating func document() throws(JSONError) -> JSONSlice {
        try checkSize()
        let value = try value(at: skipWhiteSpace(0), outerDepth: 0)
        let end = skipWhiteSpace(value.upperBound)
        guard end == bytes.count else { throw JSONError(.trailingBytes, at: end) }
        return value
    }

    /// Validates the whole input as one object and visits its members in order, duplicates included (callers let the
    /// last one count). Members are visited while the rest is still unread: after an error, the visits are void.
    ///
    /// - Returns: The object itself.
    /// - Throws: `.notAnObject` for a valid document of another kind.
    @discardableResult
    package mutating func object(_ visit: (JSONMember) -> Void) throws(JSONError) -> JSONSlice {
        try checkSize()
        let start = skipWhiteSpace(0)
        guard start < bytes.count else { throw JSONError(.unexpectedEnd, at: start) }
        guard bytes[start] == Byte.openBrace else {
            _ = try document()
            throw JSONError(.notAnObject, at: start)
        }
        guard maximumDepth > 0 else { throw JSONError(.tooDeep, at: start) }

        var position = skipWhiteSpace(start + 1)
        if position < bytes.count, bytes[position] == Byte.closeBrace {
            position += 1
        } else {
            members: while true {
                let key = try string(at: position)
                let member = JSONMember(key: key, value: try value(at: colon(after: key), outerDepth: 1))
                visit(member)
                position = skipWhiteSpace(member.value.upperBound)
                guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
                switch bytes[position] {
                case Byte.comma:
                    position = skipWhiteSpace(position + 1)
                case Byte.closeBrace:
                    position += 1
                    break members
                default:
                    throw JSONError(.syntax, at: position)
                }
            }
        }
        let end = skipWhiteSpace(position)
        guard end == bytes.count else { throw JSONError(.trailingBytes, at: end) }
        return JSONSlice(.object, start, position)
    }

    private func checkSize() throws(JSONError) {
        guard bytes.count < Int(Int32.max) else { throw JSONError(.tooLarge, at: Int(Int32.max)) }
    }

    // MARK: Values

    private mutating func value(at start: Int, outerDepth: Int) throws(JSONError) -> JSONSlice {
        guard start < bytes.count else { throw JSONError(.unexpectedEnd, at: start) }
        let kind: JSONKind
        switch bytes[start] {
        case Byte.quote:
            return try string(at: start)
        case Byte.openBrace:
            kind = .object
        case Byte.openBracket:
            kind = .array
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            return JSONSlice(.bool, start, try scalar(at: start))
        case UInt8(ascii: "n"):
            return JSONSlice(.null, start, try scalar(at: start))
        default:
            return JSONSlice(.number, start, try scalar(at: start))
        }
        return JSONSlice(kind, start, try containerEnd(at: start, outerDepth: outerDepth))
    }

    /// Returns the end of the container that opens at `start`, after validating everything inside it.
    private mutating func containerEnd(at start: Int, outerDepth: Int) throws(JSONError) -> Int {
        var position = start
        var depth = outerDepth
        while true {
            // A value begins here.
            guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
            let byte = bytes[position]
            switch byte {
            case Byte.quote:
                position = try string(at: position).upperBound
            case Byte.openBrace, Byte.openBracket:
                guard depth < maximumDepth else { throw JSONError(.tooDeep, at: position) }
                let isObject = byte == Byte.openBrace
                setObject(isObject, at: depth)
                depth += 1
                position = skipWhiteSpace(position + 1)
                guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
                guard bytes[position] == (isObject ? Byte.closeBrace : Byte.closeBracket) else {
                    if isObject { position = try colon(after: string(at: position)) }
                    continue
                }
                position += 1
                depth -= 1
            default:
                position = try scalar(at: position)
            }
            // A value has ended here: containers that end with it are closed, until there is a comma.
            closing: while true {
                guard depth > outerDepth else { return position }
                position = skipWhiteSpace(position)
                guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
                let isObject = isObject(at: depth - 1)
                switch bytes[position] {
                case Byte.comma:
                    position = skipWhiteSpace(position + 1)
                    if isObject { position = try colon(after: string(at: position)) }
                    break closing
                case isObject ? Byte.closeBrace : Byte.closeBracket:
                    position += 1
                    depth -= 1
                default:
                    throw JSONError(.syntax, at: position)
                }
            }
        }
    }

    @inline(__always)
    private mutating func setObject(_ isObject: Bool, at level: Int) {
        let bit: UInt64 = 1 << UInt64(level & 63)
        if isObject { objects[level >> 6] |= bit } else { objects[level >> 6] &= ~bit }
    }

    @inline(__always)
    private func isObject(at level: Int) -> Bool {
        objects[level >> 6] & (1 << UInt64(level & 63)) != 0
    }
}
