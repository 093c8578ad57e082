/// The value of `X-Request-Id`.
package enum RequestIdentifier {
    /// The longest identifier taken from a caller, in characters.
    package static let maximumLength = 128

    /// The caller's identifier if it is sane (1 to 128 letters, digits, `-`, `_`, `.`, `:`, `/`, `+`, `=`), else a new one.
    package static func accept(_ header: String?) -> String {
        if let header, isSane(header) { return header }
        return new()
    }

    /// 32 lower-case hexadecimal digits from 128 random bits.
    package static func new() -> String {
        String(unsafeUninitializedCapacity: 32) { buffer in
            var position = 0
            for _ in 0..<2 {
                var bits = UInt64.random(in: 0 ... .max)
                for _ in 0..<16 {
                    let digit = UInt8(truncatingIfNeeded: bits & 15)
                    buffer[position] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                    position += 1
                    bits >>= 4
                }
            }
            return 32
        }
    }

    private static func isSane(_ text: String) -> Bool {
        let utf8 = text.utf8
        guard (1...maximumLength).contains(utf8.count) else { return false }
        return utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "-_.:/+=".utf8.contains(byte)
            }
        }
    }
}
