/// Base64 with the standard alphabet and padding (RFC 4648, section 4). Foundation would be linked only for it, and its
/// decoder accepts texts that headers must refuse.
package enum Base64 {
    private static let digits = Base64Digits(last: "+/")
    private static let padding = UInt8(ascii: "=")

    /// Returns the standard Base64 form with padding (RFC 4648, section 4).
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var output = digits.encode(bytes)
        while !output.count.isMultiple(of: 4) { output.append(padding) }
        return String(decoding: output, as: UTF8.self)
    }

    /// Decodes a text; nil for a length that is not a multiple of four, a byte outside the alphabet, padding in the
    /// wrong place, or non-zero bits after the last byte.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 4) else { return nil }
        return digits.decode(text.dropLast(text.suffix(2).reversed().prefix { $0 == padding }.count))
    }
}

/// Base64 with the URL alphabet and no padding (RFC 4648 section 5).
package enum Base64URL {
    private static let digits = Base64Digits(last: "-_")

    /// Encodes bytes.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: digits.encode(bytes), as: UTF8.self)
    }

    /// Decodes a text; nil for a character outside the alphabet, an impossible length, or bits that no encoder sets.
    package static func decode(_ text: String) -> [UInt8]? { digits.decode(text.utf8) }
}

/// Digits of Base64, of six bits each, without padding (RFC 4648).
private struct Base64Digits {
    private let digits: [UInt8]
    /// Values of the digits by their bytes; nil for other bytes.
    private let values: [UInt32?]

    /// - Parameter last: The last two digits, in which the alphabets differ.
    init(last: StaticString) {
        let text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\(last)"
        digits = Array(text.utf8)
        var values = [UInt32?](repeating: nil, count: 256)
        for (digit, value) in zip(digits, UInt32(0)...) { values[Int(digit)] = value }
        self.values = values
    }

    func encode(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(digits[Int(bits >> count) & 63])
            }
            bits &= (1 << count) - 1
        }
        if count > 0 { text.append(digits[Int(bits << (6 - count)) & 63]) }
        return text
    }

    /// Returns the bytes; nil for a byte that is not a digit, an impossible length, or bits that no encoder sets.
    func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 2)
        var bits: UInt32 = 0
        var count = 0
        for digit in text {
            guard let value = values[Int(digit)] else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
            bits &= (1 << count) - 1
        }
        guard count < 6, bits == 0 else { return nil }
        return bytes
    }
}
