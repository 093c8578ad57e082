package import HTTPSyntax
package import NIOCore

extension Peer {
    /// Creates the peer at a socket's other end.
    package init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            guard let address = withUnsafeBytes(of: v4.address.sin_addr, { IPAddress(bytes: $0) }) else { return nil }
            self = .address(address)
        case .v6(let v6):
            guard let address = withUnsafeBytes(of: v6.address.sin6_addr, { IPAddress(bytes: $0) }) else { return nil }
            self = .address(address)
        case .unixDomainSocket: self = .unixSocket
        case nil: return nil
        }
    }
}
