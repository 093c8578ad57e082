import Synchronization

/// Value of `X-Request-Id`.
package enum RequestIdentifier {
    /// Largest length of an identifier of a caller, in characters.
    package static let maximumLength = 128

    /// Returns the caller's identifier if it is valid (1 to 128 letters, digits, `-`, `_`, `.`, `:`, `/`, `+`, `=`),
    /// else a new one.
    package static func accept(_ header: String?) -> String {
        if let header, isSane(header) { return header }
        return new()
    }

    /// Returns 32 lower-case hexadecimal digits, unique in this process and, by its random seed, among processes. They
    /// can be guessed from earlier ones: an identifier is not a secret, and the kernel's random numbers cost two system
    /// calls.
    package static func new() -> String {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        return String(unsafeUninitializedCapacity: 32) { buffer in
            var position = 0
            for half in 0..<2 {
                var bits = mixed((half == 0 ? seeds.0 : seeds.1) &+ number &* 0x9E37_79B9_7F4A_7C15)
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

    private static let counter = Atomic<UInt64>(0)
    private static let seeds = (UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max))

    /// Computes the output function of SplitMix64: a bijection, so that different numbers stay different.
    private static func mixed(_ number: UInt64) -> UInt64 {
        var bits = number
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
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
