import HTTPSyntax

/// Part of a client's address by which limits count.
struct CallerAddress: Hashable, Sendable {
    /// Four bytes of IPv4, the first eight of IPv6 (one customer usually has a whole /64), none for a peer on a Unix
    /// socket.
    let bytes: [UInt8]

    init(_ address: IPAddress?) {
        bytes = address?.customer ?? []
    }
}
