/// The `Cookie` field, RFC 6265 section 4.2, as both processes read it.
///
/// A cookie is its name and the bytes of its value: of several of a name, in however many fields, only the last one
/// counts; quotes around a value that needs none are not part of it; names are case-sensitive.
package enum CookieField {
    /// Calls `visit` with the places of the name and the value of each pair of a field, in their order.
    package static func forEachPair(
        in bytes: UnsafeBufferPointer<UInt8>, _ visit: (_ name: Range<Int>, _ value: Range<Int>) -> Void
    ) {
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: ";") { end += 1 }
            if let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "=")) {
                let name = trimmed(start..<equals, bytes)
                visit(name, unquoted(trimmed(equals + 1..<end, bytes), bytes))
            }
            start = end + 1
        }
    }

    /// Returns the value of the last cookie of that name; nil without one.
    package static func value(of name: String, in fields: some Sequence<String>) -> String? {
        var found: String?
        for field in fields {
            var field = field
            field.withUTF8 { bytes in
                forEachPair(in: bytes) { candidate, value in
                    guard bytes[candidate].elementsEqual(name.utf8) else { return }
                    found = String(decoding: bytes[value], as: UTF8.self)
                }
            }
        }
        return found
    }

    private static func trimmed(_ range: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>) -> Range<Int> {
        var (lower, upper) = (range.lowerBound, range.upperBound)
        while lower < upper, HTTPSyntax.isSpaceOrTab(bytes[lower]) { lower += 1 }
        while upper > lower, HTTPSyntax.isSpaceOrTab(bytes[upper - 1]) { upper -= 1 }
        return lower..<upper
    }

    /// Returns the range of the value inside its quotes. Where quotes enclose characters that are allowed only between
    /// quotes (white space, a comma, a backslash), they are part of it: readers differ about such a value.
    private static func unquoted(_ range: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>) -> Range<Int> {
        guard range.count >= 2, bytes[range.lowerBound] == UInt8(ascii: "\""),
            bytes[range.upperBound - 1] == UInt8(ascii: "\"")
        else { return range }
        let inner = range.lowerBound + 1..<range.upperBound - 1
        let isPlain = bytes[inner].allSatisfy { byte in
            byte > 0x20 && byte != 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ",")
                && byte != UInt8(ascii: "\\")
        }
        return isPlain ? inner : range
    }
}
