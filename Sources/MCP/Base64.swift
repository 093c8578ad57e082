/// Base64 with the standard alphabet and padding (RFC 4648, section 4). Foundation would be linked only for it, and its
/// decoder accepts texts that headers must refuse.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    /// Returns the standard Base64 form with padding (RFC 4648, section 4).
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        var buffer: UInt32 = 0
        var count = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                append(buffer, digits: 4, to: &output)
                (buffer, count) = (0, 0)
            }
        }
        if count > 0 {
            append(buffer << UInt32(8 * (3 - count)), digits: count + 1, to: &output)
            output.append(contentsOf: repeatElement(padding, count: 3 - count))
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func append(_ group: UInt32, digits: Int, to output: inout [UInt8]) {
        for index in 0..<digits { output.append(alphabet[Int(group >> UInt32(18 - 6 * index) & 63)]) }
    }

    /// Decodes a text; nil for a length that is not a multiple of four, a byte outside the alphabet, padding in the
    /// wrong place, or non-zero bits after the last byte.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 4) else { return nil }
        let paddings = text.suffix(2).reversed().prefix { $0 == padding }.count
        var output: [UInt8] = []
        output.reserveCapacity(text.count / 4 * 3)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in text.dropLast(paddings) {
            guard let digit = value(byte) else { return nil }
            buffer = (buffer << 6 | digit) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        guard buffer & (1 << UInt32(bits) - 1) == 0 else { return nil }
        return output
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a") + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0") + 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
