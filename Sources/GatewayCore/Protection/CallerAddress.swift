import NIOCore
import NIOHTTP1

/// The network address that a request came from, as far as it can be believed.
struct CallerAddress: Hashable, Sendable {
    /// Four bytes of IPv4, the first eight of IPv6 (a /64 is one customer), none for a Unix socket's peer.
    let bytes: [UInt8]

    /// - Parameters:
    ///   - peer: Who is connected.
    ///   - header: The header that trusted proxies write; it is looked at only when the peer is one.
    ///
    /// The header is read from the right, since each proxy appends what it saw itself: the first address that is not a
    /// trusted proxy's is the client's. What stands left of it, or of something unreadable, is the client's own word.
    init(
        peer: SocketAddress?, headers: HTTPHeaders, header: RateLimitConfiguration.AddressHeader,
        trusted: TrustedProxies
    ) {
        let bytes =
            Self.forwarded(peer, headers, header, trusted) ?? peer.flatMap { TrustedProxies.Range.bytes($0) } ?? []
        self.bytes = bytes.count == 16 ? Array(bytes[..<8]) : bytes
    }

    /// The whole address for people to read; nil for a Unix socket's peer without a header to believe.
    static func text(
        peer: SocketAddress?, headers: HTTPHeaders, header: RateLimitConfiguration.AddressHeader,
        trusted: TrustedProxies
    ) -> String? {
        forwarded(peer, headers, header, trusted).flatMap(text(of:)) ?? peer?.ipAddress
    }

    private static func forwarded(
        _ peer: SocketAddress?, _ headers: HTTPHeaders, _ header: RateLimitConfiguration.AddressHeader,
        _ trusted: TrustedProxies
    ) -> [UInt8]? {
        guard header != .none, headers.contains(name: header.rawValue), trusted.contains(peer) else { return nil }
        var bytes: [UInt8]?
        for text in hops(headers, header).reversed() {
            guard let hop = address(text) else { break }
            bytes = hop
            if !trusted.contains(bytes: hop) { break }
        }
        return bytes
    }

    private static func text(of bytes: [UInt8]) -> String? {
        try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0).ipAddress
    }

    /// From the client to the last proxy.
    private static func hops(_ headers: HTTPHeaders, _ header: RateLimitConfiguration.AddressHeader) -> [Substring] {
        let elements = headers[header.rawValue].flatMap {
            $0.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingBlanks() }
        }
        guard header == .forwarded else { return elements }
        // RFC 7239 section 4; an element without `for` hides who it was.
        return elements.map { element in
            let pair = element.split(separator: ";").map { $0.trimmingBlanks() }
                .first { $0.prefix(4).lowercased() == "for=" }
            let value = pair?.dropFirst(4) ?? ""
            return value.hasPrefix("\"") && value.hasSuffix("\"") && value.count >= 2
                ? value.dropFirst().dropLast() : value
        }
    }

    /// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
    private static func address(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count <= 64 else { return nil }
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            return TrustedProxies.Range.bytes(String(text[text.index(after: text.startIndex)..<end]))
        }
        if text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1, let colon = text.firstIndex(of: ":") {
            return TrustedProxies.Range.bytes(String(text[..<colon]))
        }
        return TrustedProxies.Range.bytes(String(text))
    }
}
