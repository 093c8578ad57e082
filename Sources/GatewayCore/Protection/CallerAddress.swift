import HTTPSyntax

/// The part of a client's address that limits count.
struct CallerAddress: Hashable, Sendable {
    /// Four bytes of IPv4, the first eight of IPv6 (a /64 is one customer), none for a Unix socket's peer.
    let bytes: [UInt8]

    init(_ address: IPAddress?) {
        bytes = address?.customer ?? []
    }
}
