package import NIOCore

/// Some addresses that a connection may come from.
package enum PeerRange: Hashable, Sendable {
    /// The addresses that share the leading bits.
    case network(address: [UInt8], bits: Int)
    /// A Unix socket: the permissions of its file decide who connects.
    case unix

    /// `10.0.0.0/8`, `192.0.2.7`, `::1`, `unix`; nil for anything else.
    package init?(_ text: String) {
        if text == "unix" {
            self = .unix
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = try? SocketAddress(ipAddress: String(first), port: 0),
            let bytes = Self.bytes(of: address)
        else { return nil }
        guard parts.count == 2 else {
            self = .network(address: bytes, bits: bytes.count * 8)
            return
        }
        guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
        self = .network(address: bytes, bits: bits)
    }

    /// Returns true if the address is in the range.
    package func contains(_ peer: SocketAddress) -> Bool {
        switch self {
        case .unix:
            if case .unixDomainSocket = peer { return true }
            return false
        case .network(let address, let bits):
            guard let other = Self.bytes(of: peer), other.count == address.count else { return false }
            return zip(address, other).enumerated().allSatisfy { index, pair in
                let counted = min(max(bits - index * 8, 0), 8)
                let mask = UInt8(truncatingIfNeeded: 0xFF00 >> counted)
                return pair.0 & mask == pair.1 & mask
            }
        }
    }

    /// In network order; an IPv4 address in its IPv6 form, as a listener for both families sees it, is an IPv4 address.
    static func bytes(of address: SocketAddress) -> [UInt8]? {
        switch address {
        case .v4(let v4): return withUnsafeBytes(of: v4.address.sin_addr) { Array($0) }
        case .v6(let v6):
            let bytes = withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) }
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            return isMapped ? Array(bytes[12...]) : bytes
        case .unixDomainSocket: return nil
        }
    }
}
