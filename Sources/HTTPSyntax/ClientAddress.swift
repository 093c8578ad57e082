/// Field in which trusted proxies pass on a client's address. Only one is configured: a proxy that writes one of them
/// passes on the other as the client sent it.
package enum ClientAddressField: String, CaseIterable, Sendable {
    /// A list of addresses.
    case forwardedFor = "X-Forwarded-For"
    /// RFC 7239.
    case forwarded = "Forwarded"
    /// No field: the peer's own address counts.
    case none
}

/// Rule that determines a client's address, for limits and the log alike.
package struct ClientAddressRule: Hashable, Sendable {
    private let field: ClientAddressField
    private let trusted: TrustedProxies

    /// - Parameters:
    ///   - field: The field that trusted proxies write; ignored from any other peer.
    ///   - trusted: The trusted proxies.
    package init(_ field: ClientAddressField = .forwardedFor, trusted: TrustedProxies = TrustedProxies()) {
        self.field = field
        self.trusted = trusted
    }

    /// Returns the address of the client; nil for a peer on a Unix socket that does not forward one.
    ///
    /// The field is read from the right, because each proxy appends the address that it saw itself: the first one that
    /// is not a trusted proxy's is the client's. Addresses to its left, or to the left of an unreadable one, were
    /// written by the client.
    ///
    /// - Parameter fields: Returns the values of a field by its name.
    package func address(of peer: Peer?, _ fields: (String) -> [String]) -> IPAddress? {
        var address: IPAddress?
        if case .address(let own) = peer { address = own }
        guard field != .none, trusted.contains(peer) else { return address }
        for text in hops(fields(field.rawValue)).reversed() {
            guard let hop = Self.hop(text) else { break }
            address = hop
            if !trusted.contains(hop) { break }
        }
        return address
    }

    /// Returns the addresses in the field, from the client to the last proxy.
    private func hops(_ values: [String]) -> [Substring] {
        guard field == .forwarded else {
            return values.flatMap {
                $0.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmingWhiteSpace)
            }
        }
        // RFC 7239 section 4; an element without `for` hides the address.
        return values.flatMap(\.listElements).map { element in
            let pair = element.parameters.first { HTTPSyntax.hasPrefix($0, "for=") }
            let value = pair?.dropFirst(4) ?? ""
            return value.hasPrefix("\"") && value.hasSuffix("\"") && value.utf8.count >= 2
                ? value.dropFirst().dropLast() : value
        }
    }

    /// Parses `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
    private static func hop(_ text: Substring) -> IPAddress? {
        guard text.utf8.count <= 64 else { return nil }
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            return IPAddress(text[text.index(after: text.startIndex)..<end])
        }
        if text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1, let colon = text.firstIndex(of: ":") {
            return IPAddress(text[..<colon])
        }
        return IPAddress(text)
    }
}
