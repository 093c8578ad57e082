/// Hosts under which a listener may be addressed: names, addresses and ranges of addresses. Ports do not matter.
package struct AllowedHosts: Hashable, Sendable {
    /// Names in lower case, compared before anything is parsed.
    private var names: [[UInt8]] = []
    /// Names whose subdomains are allowed, in lower case with the dot in front.
    private var suffixes: [String] = []
    private var ranges: [IPAddressRange] = []
    private var allowsAny = false

    /// Every host.
    package static let any = AllowedHosts(["*"]) { _ in }
    /// The names and addresses of the machine itself: `localhost`, `*.localhost`, 127.0.0.0/8 and ::1.
    package static let loopback = AllowedHosts(["localhost", "*.localhost", "127.0.0.0/8", "::1"]) { _ in }

    /// Every address and the names of the machine itself: a hostile name cannot pass for one of these.
    package static let addresses = AllowedHosts(["localhost", "*.localhost", "0.0.0.0/0", "::/0"]) { _ in }

    /// Returns the union of both sets.
    package func union(_ other: AllowedHosts) -> AllowedHosts {
        var union = self
        union.names += other.names
        union.suffixes += other.suffixes
        union.ranges += other.ranges
        union.allowsAny = allowsAny || other.allowsAny
        return union
    }

    /// Reads `chat.example`, `*.chat.example` for its subdomains, `192.0.2.7`, `[::1]`, `10.0.0.0/8`, or `*` for every
    /// host. A port after a host is ignored, as it is in requests.
    ///
    /// - Parameter invalid: Called with each invalid text.
    package init(_ entries: [String], invalid: (String) -> Void) {
        for entry in entries {
            if entry == "*" {
                allowsAny = true
            } else if let range = IPAddressRange(entry) {
                ranges.append(range)
            } else if entry.hasPrefix("*."), let authority = Self.authority(entry.dropFirst(2)),
                authority.address == nil
            {
                suffixes.append("." + authority.host)
            } else if let authority = Self.authority(entry[...]) {
                if let address = authority.address, let range = IPAddressRange("\(address)") {
                    ranges.append(range)
                } else {
                    names.append(Array(authority.host.utf8))
                }
            } else {
                invalid(entry)
            }
        }
    }

    /// Reads a host with or without a port, which may be `*`.
    private static func authority(_ entry: Substring) -> Authority? {
        Authority(entry.hasSuffix(":*") ? entry.dropLast(2) : entry)
    }

    /// Returns whether a `Host` field's value names one of the hosts.
    package func allows(_ host: String) -> Bool {
        if allowsAny || isPlain(host) { return true }
        guard let authority = Authority(host) else { return false }
        return allows(authority)
    }

    /// Returns whether the host is one of these.
    package func allows(_ authority: Authority) -> Bool {
        if allowsAny { return true }
        if let address = authority.address { return ranges.contains { $0.contains(address) } }
        return names.contains { $0.elementsEqual(authority.host.utf8) }
            || suffixes.contains { authority.host.utf8.count > $0.utf8.count && authority.host.hasSuffix($0) }
    }

    /// Returns whether the text is one of the names, or an IPv4 address in one of the ranges, with or without a port,
    /// without copying it: the case of nearly every request.
    private func isPlain(_ host: String) -> Bool {
        var host = host
        return host.withUTF8 { text in
            let bytes = UnsafeRawBufferPointer(text)
            let end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
            let port = bytes[min(end + 1, bytes.count)...]
            guard port.count <= 5, port.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
            let name = UnsafeRawBufferPointer(rebasing: bytes[..<end])
            if let address = IPAddress.number(ofIPv4: name) { return ranges.contains { $0.contains(ipv4: address) } }
            return names.contains { HTTPSyntax.equals($0, name) }
        }
    }
}
