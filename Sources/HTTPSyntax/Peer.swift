/// Other end of a connection.
package enum Peer: Hashable, Sendable {
    /// A peer on the network.
    case address(IPAddress)
    /// A peer on a Unix socket: the permissions of the socket's file decide which processes can be one.
    case unixSocket
}

extension Peer: CustomStringConvertible {
    /// Address, or `unix`.
    package var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .unixSocket: "unix"
        }
    }
}

/// Peers that a configuration names by their location.
package enum PeerRange: Hashable, Sendable {
    /// The addresses of a network.
    case network(IPAddressRange)
    /// Every peer on a Unix socket.
    case unixSocket

    /// Reads `10.0.0.0/8`, `192.0.2.7`, `::1` or `unix`; nil for anything else.
    package init?(_ text: String) {
        if text == "unix" {
            self = .unixSocket
        } else if let range = IPAddressRange(text) {
            self = .network(range)
        } else {
            return nil
        }
    }

    /// Returns whether the peer is in the range.
    package func contains(_ peer: Peer) -> Bool {
        switch (self, peer) {
        case (.network(let range), .address(let address)): range.contains(address)
        case (.unixSocket, .unixSocket): true
        default: false
        }
    }
}

/// Reverse proxies whose `X-Forwarded-…` fields are trusted. A peer on a Unix socket always is.
package struct TrustedProxies: Hashable, Sendable {
    /// Default ranges: the machine itself.
    package static let defaultRanges = ["127.0.0.0/8", "::1"]

    private let ranges: [IPAddressRange]

    /// - Parameters:
    ///   - texts: Addresses, ranges, or `unix`, which is always included.
    ///   - invalid: Called with each invalid text.
    package init(_ texts: [String] = defaultRanges, invalid: (String) -> Void = { _ in }) {
        ranges = texts.filter { $0 != "unix" }.compactMap { text in
            let range = IPAddressRange(text)
            if range == nil { invalid(text) }
            return range
        }
    }

    /// Returns whether the peer is one of the proxies; false for an unknown peer.
    package func contains(_ peer: Peer?) -> Bool {
        switch peer {
        case .address(let address): contains(address)
        case .unixSocket: true
        case nil: false
        }
    }

    /// Returns whether the address is that of one of the proxies.
    package func contains(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }
}
