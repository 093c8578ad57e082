package import NIOCore

/// The address that a request comes from, for limits: the connection's other end, or what a trusted proxy there says.
package struct ClientAddress: Sendable {
    /// Proxies whose `X-Forwarded-For` counts.
    let proxies: [PeerRange]

    /// Proxies on this machine, and those behind a Unix socket.
    package static let standardProxies = ["127.0.0.0/8", "::1", "unix"]

    /// - Parameter proxies: peers whose `X-Forwarded-For` counts.
    package init(proxies: [PeerRange]) {
        self.proxies = proxies
    }

    /// Returns the address as text, of IPv6 the network of 64 bits that one customer has; nil where nothing tells it.
    ///
    /// The list is read from the right, where the nearest proxy wrote, past the addresses of trusted proxies.
    package func address(forwardedFor fields: [String], peer: SocketAddress?) -> String? {
        guard let peer else { return nil }
        guard isTrusted(peer) else { return Self.text(peer) }
        let listed = fields.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
        for entry in listed.reversed().prefix(Self.longestChain) {
            let text = entry.filter { $0 != " " && $0 != "\t" }
            guard let address = try? SocketAddress(ipAddress: String(text), port: 0) else { break }
            if !isTrusted(address) { return Self.text(address) }
        }
        return Self.text(peer)
    }

    private static let longestChain = 32

    private func isTrusted(_ address: SocketAddress) -> Bool { proxies.contains { $0.contains(address) } }

    private static func text(_ address: SocketAddress) -> String {
        guard let bytes = PeerRange.bytes(of: address) else { return "unix" }
        let isIPv6 = bytes.count == 16
        return bytes.prefix(isIPv6 ? 8 : 4).map { String($0) }.joined(separator: isIPv6 ? ":" : ".")
    }
}
