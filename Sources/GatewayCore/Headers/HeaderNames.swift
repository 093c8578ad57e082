/// What is known about HTTP header names.
enum HeaderNames {
    /// Headers of one connection, RFC 9110 section 7.6.1: they never cross the gateway.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    static func isHopByHop(_ name: String) -> Bool {
        hopByHop.contains(name.lowercased())
    }

    /// RFC 9110 section 5.6.2.
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// Compares names without their case and without a copy.
    @inline(__always)
    static func equal(_ name: String, _ lowercased: StaticString) -> Bool {
        let utf8 = name.utf8
        guard utf8.count == lowercased.utf8CodeUnitCount else { return false }
        var pointer = lowercased.utf8Start
        for byte in utf8 {
            let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            if lower != pointer.pointee { return false }
            pointer += 1
        }
        return true
    }
}
