import Glibc
package import NIOCore

/// The peers whose `X-Forwarded-…` headers are believed. A peer on a Unix socket always is: the file's permissions
/// decide who that can be.
package struct TrustedProxies: Hashable, Sendable {
    /// An address and how many of its leading bits count.
    struct Range: Hashable, Sendable {
        let address: [UInt8]
        let bits: Int

        /// `10.0.0.0/8`, `::1`, `192.0.2.7`.
        init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2, let address = Self.bytes(String(parts[0])) else { return nil }
            self.address = address
            if parts.count == 2 {
                guard let bits = Int(parts[1]), (0...address.count * 8).contains(bits) else { return nil }
                self.bits = bits
            } else {
                bits = address.count * 8
            }
        }

        static func bytes(_ text: String) -> [UInt8]? {
            (try? SocketAddress(ipAddress: text, port: 0)).flatMap(bytes)
        }

        static func bytes(_ address: SocketAddress) -> [UInt8]? {
            switch address {
            case .v4(let v4):
                return withUnsafeBytes(of: v4.address.sin_addr) { Array($0) }
            case .v6(let v6):
                let bytes = withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) }
                // ::ffff:192.0.2.1 is how a listener for both families sees 192.0.2.1.
                let isMapped = bytes[0..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
                return isMapped ? Array(bytes[12...]) : bytes
            case .unixDomainSocket:
                return nil
            }
        }

        func contains(_ other: [UInt8]) -> Bool {
            guard other.count == address.count else { return false }
            let whole = bits / 8
            guard other[..<whole].elementsEqual(address[..<whole]) else { return false }
            guard bits % 8 > 0 else { return true }
            let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - bits % 8))
            return other[whole] & mask == address[whole] & mask
        }
    }

    static let defaultRanges = ["127.0.0.0/8", "::1"]

    private let ranges: [Range]

    /// - Parameter invalid: Is told each text that is no range.
    init(_ texts: [String], invalid: (String) -> Void) {
        ranges = texts.compactMap { text in
            let range = Range(text)
            if range == nil { invalid(text) }
            return range
        }
    }

    package func contains(_ peer: SocketAddress?) -> Bool {
        guard let peer else { return false }
        guard let bytes = Range.bytes(peer) else { return true }
        return contains(bytes: bytes)
    }

    /// The same for an address as ``Range/bytes(_:)`` gives it.
    func contains(bytes: [UInt8]) -> Bool {
        ranges.contains { $0.contains(bytes) }
    }
}
