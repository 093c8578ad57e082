extension JSONValue {
    /// Parses a whole document under the scanner's rules. Of duplicate keys the last value counts.
    /// - Throws: ``JSONError`` naming the offset.
    package init(
        parsing bytes: UnsafeRawBufferPointer, maximumDepth: Int = JSONScanner.defaultMaximumDepth
    ) throws(JSONError) {
        var scanner = JSONScanner(bytes, maximumDepth: maximumDepth)
        self.init(try scanner.document(), in: bytes)
    }

    /// Parses any bytes.
    /// - Throws: ``JSONError`` naming the offset.
    package init(
        parsing bytes: some Collection<UInt8>, maximumDepth: Int = JSONScanner.defaultMaximumDepth
    ) throws(JSONError) {
        let parsed = bytes.withContiguousStorageIfAvailable {
            JSONValue.parse(UnsafeRawBufferPointer($0), maximumDepth)
        }
        let result = parsed ?? Array(bytes).withUnsafeBytes { JSONValue.parse($0, maximumDepth) }
        self = try result.get()
    }

    /// Parses text.
    /// - Throws: ``JSONError`` naming the offset.
    package init(
        parsing text: String, maximumDepth: Int = JSONScanner.defaultMaximumDepth
    ) throws(JSONError) {
        var text = text
        let result = text.withUTF8 { JSONValue.parse(UnsafeRawBufferPointer($0), maximumDepth) }
        self = try result.get()
    }

    // The standard library's closures cannot throw typed errors, so the result is returned in a Result.
    private static func parse(
        _ bytes: UnsafeRawBufferPointer, _ maximumDepth: Int
    ) -> Result<JSONValue, JSONError> {
        do throws(JSONError) {
            return .success(try JSONValue(parsing: bytes, maximumDepth: maximumDepth))
        } catch {
            return .failure(error)
        }
    }

    /// Creates the tree of a slice that a scanner has accepted in these bytes.
    package init(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        guard slice.upperBound <= bytes.count else {
            self = .null
            return
        }
        var builder = JSONTreeBuilder(walker: JSONWalker(bytes: bytes, end: slice.upperBound))
        builder.position = slice.lowerBound
        self = builder.value()
    }
}

/// Builder of a tree from validated text in one pass. Its recursion is as deep as the document, which the scanner
/// limited to at most `JSONScanner.largestMaximumDepth`.
private struct JSONTreeBuilder {
    let walker: JSONWalker
    var position = 0

    init(walker: JSONWalker) {
        self.walker = walker
    }

    mutating func value() -> JSONValue {
        guard position < walker.end else { return .null }
        switch walker.bytes[position] {
        case Byte.openBrace:
            return object()
        case Byte.openBracket:
            return array()
        case Byte.quote:
            return .string(string())
        case let lead:
            let slice = JSONSlice(.number, position, walker.scalarEnd(at: position))
            position = slice.upperBound
            switch lead {
            case UInt8(ascii: "t"): return .bool(true)
            case UInt8(ascii: "f"): return .bool(false)
            case UInt8(ascii: "n"): return .null
            default: return .number(JSONNumber(validated: JSONText.source(slice, in: walker.bytes)))
            }
        }
    }

    private mutating func string() -> String {
        let slice = walker.string(at: position)
        position = slice.upperBound
        return JSONText.string(slice, in: walker.bytes)
    }

    private mutating func array() -> JSONValue {
        var elements: [JSONValue] = []
        position = walker.skipSeparators(position + 1)
        while position < walker.end, walker.bytes[position] != Byte.closeBracket {
            elements.append(value())
            position = walker.skipSeparators(position)
        }
        position += 1
        return .array(elements)
    }

    private mutating func object() -> JSONValue {
        var members = JSONObject()
        position = walker.skipSeparators(position + 1)
        while position < walker.end, walker.bytes[position] != Byte.closeBrace {
            let key = string()
            position = walker.skipSeparators(position)
            members[key] = value()
            position = walker.skipSeparators(position)
        }
        position += 1
        return .object(members)
    }
}
