import Glibc
package import HTTPSyntax

extension HTTPListenAddress {
    /// Scope of the address. A name other than `localhost` counts as reachable from other machines, because its address
    /// may change.
    package var scope: ListenerScope {
        switch self {
        case .unixSocket: return .unixSocket
        case .hostPort(let host, _):
            if let address = IPAddress(host) { return address.isLoopback ? .loopback : .network }
            let name = host.lowercased()
            return name == "localhost" || name.hasSuffix(".localhost") ? .loopback : .network
        case .inherited(let fileDescriptor):
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let result = withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fileDescriptor, $0, &length) }
            }
            guard result == 0 else { return .network }
            return withUnsafeBytes(of: storage) { bytes in
                switch Int32(storage.ss_family) {
                case AF_UNIX: .unixSocket
                case AF_INET: Self.scope(bytes.load(as: sockaddr_in.self))
                case AF_INET6: Self.scope(bytes.load(as: sockaddr_in6.self))
                default: .network
                }
            }
        }
    }

    private static func scope(_ address: sockaddr_in) -> ListenerScope {
        scope(withUnsafeBytes(of: address.sin_addr) { IPAddress(bytes: $0) })
    }

    private static func scope(_ address: sockaddr_in6) -> ListenerScope {
        scope(withUnsafeBytes(of: address.sin6_addr) { IPAddress(bytes: $0) })
    }

    private static func scope(_ address: IPAddress?) -> ListenerScope {
        address?.isLoopback == true ? .loopback : .network
    }
}
