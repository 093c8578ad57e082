import HTTPServer
import NIOCore
import NIOHTTP1

/// Who sent a request, as far as the trusted proxies tell.
enum ClientAddress {
    /// The last address of `X-Forwarded-For` that no trusted proxy has, if the peer is one; else the peer's own. Nil for
    /// a peer on a Unix socket that forwards nothing.
    static func of(_ exchange: HTTPExchange, _ proxies: TrustedProxies) -> String? {
        let peer = exchange.remoteAddress
        guard peer.map({ proxies.contains($0) }) ?? true else { return peer?.ipAddress }
        let hops = exchange.head.headers["X-Forwarded-For"].flatMap { $0.split(separator: ",") }
        for hop in hops.reversed() {
            guard let address = try? SocketAddress(ipAddress: String(hop.trimmingBlanks()), port: 0) else { break }
            if !proxies.contains(address) { return address.ipAddress }
        }
        return peer?.ipAddress
    }
}
