import Glibc

/// An IP address: four bytes, or sixteen. An IPv4 address in its IPv6 form, as a listener for both families sees it, is
/// the IPv4 address.
package struct IPAddress: Hashable, Sendable {
    /// The address in network order.
    package let bytes: [UInt8]

    /// Creates an address from bytes in network order; nil unless there are 4 or 16.
    package init?(bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let isMapped =
            bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
    }

    /// Reads `192.0.2.7` or `2001:db8::1`; nil for anything else, a name or an abbreviation such as `127.1` included.
    package init?(_ text: some StringProtocol) {
        // The longest IPv6 address with an IPv4 part has 45 characters.
        guard (2...45).contains(text.utf8.count), text.utf8.allSatisfy(Self.isPossible) else { return nil }
        let text = String(text)
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes: bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes: bytes)
        } else {
            return nil
        }
    }

    /// Returns the number that the four parts of an IPv4 address make up; nil for anything but its canonical text.
    package static func number(ofIPv4 text: UnsafeRawBufferPointer) -> UInt32? {
        guard (7...15).contains(text.count) else { return nil }
        var number: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text {
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                number = number << 8 | part
                dots += 1
                digits = 0
                part = 0
            } else {
                guard 0x30...0x39 ~= byte, digits == 0 || part > 0 else { return nil }
                part = part * 10 + UInt32(truncatingIfNeeded: byte & 0x0F)
                digits += 1
                guard part < 256 else { return nil }
            }
        }
        return dots == 3 && digits > 0 ? number << 8 | part : nil
    }

    /// Returns whether a byte can be part of an address. A NUL, for example, would end the text for C functions only.
    private static func isPossible(_ byte: UInt8) -> Bool {
        switch HTTPSyntax.lowercased(byte) {
        case 0x30...0x3A, 0x61...0x66, UInt8(ascii: "."): true
        default: false
        }
    }

    /// Part of the address that one customer of a network usually has: all of IPv4, the first 64 bits of IPv6.
    package var customer: [UInt8] { bytes.count == 16 ? Array(bytes[..<8]) : bytes }

    /// True if the address is one of the machine itself: 127.0.0.0/8 and ::1.
    package var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }
}

extension IPAddress: CustomStringConvertible {
    /// Text of the address.
    package var description: String {
        var buffer = [CChar](repeating: 0, count: 64)
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes, &buffer, socklen_t(buffer.count)) != nil else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Addresses that share their leading bits.
package struct IPAddressRange: Hashable, Sendable {
    /// First address of the range, or any other one.
    package let address: IPAddress
    /// Number of leading bits that count.
    package let bits: Int

    /// Reads `10.0.0.0/8`, `::1` or `192.0.2.7`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
        self.address = address
        let all = address.bytes.count * 8
        guard parts.count == 2 else {
            bits = all
            return
        }
        // At most three digits: the number cannot overflow, and a sign is not accepted.
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let bits = Int(parts[1]), bits <= all
        else { return nil }
        self.bits = bits
    }

    /// Returns whether the IPv4 address that has this number is in the range.
    func contains(ipv4 number: UInt32) -> Bool {
        let own = address.bytes
        guard own.count == 4 else { return false }
        let first = own.reduce(0) { $0 << 8 | UInt32(truncatingIfNeeded: $1) }
        return bits == 0 || (first ^ number) >> UInt32(truncatingIfNeeded: 32 - bits) == 0
    }

    /// Returns whether the address is in the range.
    package func contains(_ other: IPAddress) -> Bool {
        let own = address.bytes
        guard other.bytes.count == own.count else { return false }
        let whole = bits / 8
        guard other.bytes[..<whole].elementsEqual(own[..<whole]) else { return false }
        guard bits % 8 > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - bits % 8))
        return other.bytes[whole] & mask == own[whole] & mask
    }
}
