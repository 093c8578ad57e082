/// The field in which trusted proxies pass a client's address on. One only: a proxy that writes the one passes the
/// client's own word in the other.
package enum ClientAddressField: String, CaseIterable, Sendable {
    /// A list of addresses.
    case forwardedFor = "X-Forwarded-For"
    /// RFC 7239.
    case forwarded = "Forwarded"
    /// The peer's own address counts, whatever it sends.
    case none
}

/// The rule by which a process tells a client's address, for limits and the log alike.
package struct ClientAddressRule: Hashable, Sendable {
    private let field: ClientAddressField
    private let trusted: TrustedProxies

    /// - Parameters:
    ///   - field: The field that trusted proxies write; it is looked at only when the peer is one.
    ///   - trusted: The proxies.
    package init(_ field: ClientAddressField = .forwardedFor, trusted: TrustedProxies = TrustedProxies()) {
        self.field = field
        self.trusted = trusted
    }

    /// Returns the address of the client; nil for a peer on a Unix socket that passes none on.
    ///
    /// The field is read from the right, since each proxy appends the address that it saw itself: the first one that is
    /// not a trusted proxy's is the client's. What stands left of it, or of something unreadable, is the client's own
    /// word.
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

    /// From the client to the last proxy.
    private func hops(_ values: [String]) -> [Substring] {
        guard field == .forwarded else {
            return values.flatMap {
                $0.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmingWhiteSpace)
            }
        }
        // RFC 7239 section 4; an element without `for` hides who it was.
        return values.flatMap(\.listElements).map { element in
            let pair = element.parameters.first { HTTPSyntax.hasPrefix($0, "for=") }
            let value = pair?.dropFirst(4) ?? ""
            return value.hasPrefix("\"") && value.hasSuffix("\"") && value.utf8.count >= 2
                ? value.dropFirst().dropLast() : value
        }
    }

    /// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
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
