import Glibc

/// Character classes of RFC 9110 section 5.6 and RFC 3986, and the comparisons of HTTP that ignore the case of ASCII
/// letters. Everything works on bytes: two texts that Unicode calls equal are different names to HTTP.
///
/// Public, though nothing outside this package uses it: Swift 6.3 specializes no `package` generics for callers in other
/// modules. Through witness tables, comparing two names costs thousands of instructions.
public enum HTTPSyntax {
    /// A set of bytes below 128.
    struct ByteSet {
        let low: UInt64
        let high: UInt64

        init(_ low: UInt64, _ high: UInt64) {
            self.low = low
            self.high = high
        }

        func contains(_ byte: UInt8) -> Bool {
            if byte < 64 { return (low >> UInt64(byte)) & 1 != 0 }
            return byte < 128 && (high >> UInt64(byte - 64)) & 1 != 0
        }
    }

    /// Letters, digits and ``!#$%&'*+-.^_`|~``.
    static var token: ByteSet { ByteSet(0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE) }

    /// The characters of reg-name, IP-literal and port; without the comma, which would let one field pass for two.
    static var host: ByteSet { ByteSet(0x2FFF_6FF2_0000_0000, 0x47FF_FFFE_AFFF_FFFE) }

    /// The bytes that no reader takes for the end of a host: visible, without those of white space, user, path, query,
    /// list, escape and wildcard.
    static var authority: ByteSet { ByteSet(0x2FFF_6BD2_0000_0000, 0x47FF_FFFE_AFFF_FFFE) }

    /// The characters of `token68`, RFC 9110 section 11.2, which are those of a bearer token (RFC 6750 section 2.1).
    static var token68: ByteSet { ByteSet(0x23FF_E800_0000_0000, 0x47FF_FFFE_87FF_FFFE) }

    // MARK: Classes

    /// Returns whether a byte may stand in a token.
    public static func isTokenByte(_ byte: UInt8) -> Bool { token.contains(byte) }

    /// Returns whether the bytes are a token: a method, the name of a field.
    public static func isToken(_ bytes: some Sequence<UInt8>) -> Bool {
        var isEmpty = true
        for byte in bytes {
            guard token.contains(byte) else { return false }
            isEmpty = false
        }
        return !isEmpty
    }

    /// Returns whether the text is a token.
    public static func isToken(_ text: some StringProtocol) -> Bool { isToken(text.utf8) }

    /// Returns whether the bytes may stand in a `Host` field; an empty field passes.
    public static func isHost(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for byte in bytes where !host.contains(byte) { return false }
        return true
    }

    /// Returns whether the text is a `token68`, as bearer tokens are.
    public static func isToken68(_ text: some StringProtocol) -> Bool {
        !text.utf8.isEmpty && text.utf8.allSatisfy { token68.contains($0) }
    }

    /// Returns whether a byte is a control character other than tab, which RFC 9110 section 5.5 forbids in a field value.
    public static func isForbiddenInValue(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7F }

    /// Largest number of non-ASCII bytes that may follow one another in a head.
    private static let longestNonASCIIRun = 512

    /// Returns whether more non-ASCII bytes follow one another than a head may have. They have no use there, and to compare
    /// strings of combining marks takes time that grows with the square of their number.
    public static func hasLongNonASCIIRun(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > longestNonASCIIRun else { return false }
        var run = 0
        for byte in bytes {
            run = byte < 0x80 ? 0 : run + 1
            if run > longestNonASCIIRun { return true }
        }
        return false
    }

    /// Returns whether a byte is a space or a tab, the optional white space of RFC 9110 section 5.6.3.
    public static func isSpaceOrTab(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    // MARK: Comparison

    /// Returns an ASCII letter in lower case, and every other byte as it is.
    public static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// Compares ASCII ignoring case; `lowercase` must be lower case already.
    public static func equals(_ bytes: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
        let expected = lowercase.utf8Start
        for index in 0..<bytes.count where lowercased(bytes[index]) != expected[index] { return false }
        return true
    }

    /// Compares a name with one in lower case, ignoring the case of ASCII letters and without a copy.
    @inline(__always)
    public static func name(_ name: some StringProtocol, is lowercase: StaticString) -> Bool {
        let utf8 = name.utf8
        guard utf8.count == lowercase.utf8CodeUnitCount else { return false }
        var pointer = lowercase.utf8Start
        for byte in utf8 {
            if lowercased(byte) != pointer.pointee { return false }
            pointer += 1
        }
        return true
    }

    /// Compares two names ignoring the case of ASCII letters, without a copy.
    public static func equals(_ name: some StringProtocol, _ other: some StringProtocol) -> Bool {
        equals(name.utf8, other.utf8)
    }

    /// Compares two names ignoring the case of ASCII letters.
    public static func equals(_ name: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
        guard name.count == other.count else { return false }
        for (left, right) in zip(name, other) where left != right && lowercased(left) != lowercased(right) {
            return false
        }
        return true
    }

    /// Returns whether a name begins with a prefix in lower case, ignoring the case of ASCII letters.
    public static func hasPrefix(_ name: some StringProtocol, _ lowercase: StaticString) -> Bool {
        let count = lowercase.utf8CodeUnitCount
        guard name.utf8.count >= count else { return false }
        var pointer = lowercase.utf8Start
        for byte in name.utf8.prefix(count) {
            if lowercased(byte) != pointer.pointee { return false }
            pointer += 1
        }
        return true
    }

    // MARK: Scanning

    /// Returns the index of the next LF; `memchr`, since heads are mostly looked through for line ends.
    public static func firstLineFeed(in bytes: UnsafeRawBufferPointer, from position: Int) -> Int? {
        guard position < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + position, 0x0A, bytes.count - position)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// Returns the bytes without the spaces and tabs at both ends.
    public static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var lower = 0
        var upper = bytes.count
        while lower < upper, isSpaceOrTab(bytes[lower]) { lower += 1 }
        while upper > lower, isSpaceOrTab(bytes[upper - 1]) { upper -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[lower..<upper])
    }

    /// Calls `visit` with each element of a comma-separated list.
    public static func forEachElement(
        of list: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void
    ) {
        var start = 0
        for index in 0...list.count where index == list.count || list[index] == UInt8(ascii: ",") {
            visit(trimmed(UnsafeRawBufferPointer(rebasing: list[start..<index])))
            start = index + 1
        }
    }
}

extension StringProtocol where SubSequence == Substring {
    /// Text without the spaces and tabs at both ends, RFC 9110 section 5.6.3.
    package var trimmingWhiteSpace: Substring {
        var utf8 = self[...].utf8
        while let first = utf8.first, HTTPSyntax.isSpaceOrTab(first) { utf8.removeFirst() }
        while let last = utf8.last, HTTPSyntax.isSpaceOrTab(last) { utf8.removeLast() }
        return Substring(utf8)
    }

    /// Elements of a comma-separated list, RFC 9110 section 5.6.1, without white space at their ends; empty ones, which
    /// a recipient ignores, are left out. A comma in a quoted string does not separate.
    package var listElements: [Substring] { parts(separatedBy: UInt8(ascii: ",")).filter { !$0.isEmpty } }

    /// Parts of an element that are separated by semicolons: the element itself, then its parameters.
    package var parameters: [Substring] { parts(separatedBy: UInt8(ascii: ";")) }

    private func parts(separatedBy separator: UInt8) -> [Substring] {
        var parts: [Substring] = []
        var start = startIndex
        var (isQuoted, isEscaped) = (false, false)
        for index in utf8.indices {
            let byte = utf8[index]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == separator, !isQuoted {
                parts.append(self[start..<index].trimmingWhiteSpace)
                start = utf8.index(after: index)
            }
        }
        parts.append(self[start...].trimmingWhiteSpace)
        return parts
    }
}
