import Glibc

/// Character classes of RFC 9110 section 5.6 and RFC 3986, as bit sets over the first 128 bytes.
enum HTTPSyntax {
    private static func set(_ characters: StaticString) -> (low: UInt64, high: UInt64) {
        var result: (low: UInt64, high: UInt64) = (0, 0)
        characters.withUTF8Buffer {
            for byte in $0 {
                if byte < 64 { result.low |= 1 << UInt64(byte) } else { result.high |= 1 << UInt64(byte - 64) }
            }
        }
        return result
    }

    private static let token = set("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    // reg-name, IP-literal and port; without the comma, which would let one field pass for two.
    private static let host = set("!$%&'()*+-.:;=[]_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    @inline(__always)
    private static func contains(_ set: (low: UInt64, high: UInt64), _ byte: UInt8) -> Bool {
        if byte < 64 { return (set.low >> UInt64(byte)) & 1 != 0 }
        return byte < 128 && (set.high >> UInt64(byte - 64)) & 1 != 0
    }

    static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let set = token
        for byte in bytes where !contains(set, byte) { return false }
        return !bytes.isEmpty
    }

    static func isTokenByte(_ byte: UInt8) -> Bool { contains(token, byte) }

    static func isHost(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let set = host
        for byte in bytes where !contains(set, byte) { return false }
        return true
    }

    /// Control characters, tab excepted, are what RFC 9110 section 5.5 forbids in a field value.
    @inline(__always)
    static func isForbiddenInValue(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7F }

    @inline(__always)
    static func isSpaceOrTab(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Compares ASCII ignoring case; `lowercase` must be lower case already.
    @inline(__always)
    static func equals(_ bytes: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
        let expected = lowercase.utf8Start
        for index in 0..<bytes.count {
            let byte = bytes[index]
            let folded = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if folded != expected[index] { return false }
        }
        return true
    }

    /// The index of the next LF; `memchr`, since heads are mostly looked through for line ends.
    @inline(__always)
    static func firstLineFeed(in bytes: UnsafeRawBufferPointer, from position: Int) -> Int? {
        guard position < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + position, 0x0A, bytes.count - position)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// Drops spaces and tabs at both ends.
    @inline(__always)
    static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var lower = 0
        var upper = bytes.count
        while lower < upper, isSpaceOrTab(bytes[lower]) { lower += 1 }
        while upper > lower, isSpaceOrTab(bytes[upper - 1]) { upper -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[lower..<upper])
    }

    /// Calls `visit` with each element of a comma-separated list.
    static func forEachElement(of list: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        for index in 0...list.count where index == list.count || list[index] == UInt8(ascii: ",") {
            visit(trimmed(UnsafeRawBufferPointer(rebasing: list[start..<index])))
            start = index + 1
        }
    }
}
