/// An address to listen on.
package enum HTTPListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or numeric address and a port; port 0 picks a free one.
    case hostPort(String, Int)
    /// A Unix-domain stream socket at this path. A stale socket file there is removed first.
    case unixSocket(path: String)
    /// A listening stream socket that this process inherited (see `SystemdSockets`). The server closes it.
    case inherited(fileDescriptor: Int32)

    /// Reads `HOST:PORT`, `[IPv6]:PORT`, `:PORT` or `*:PORT` (all IPv4 interfaces), or `unix:PATH`.
    ///
    /// Throws `HTTPListenError` with the expected format.
    /// - Throws: ``HTTPListenError`` naming the text.
    package init(parsing text: String) throws(HTTPListenError) {
        func invalid(_ expected: String) -> HTTPListenError {
            HTTPListenError(address: text, reason: "expected \(expected)")
        }
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { throw invalid("a path after unix:") }
            guard path.utf8.count < 108 else { throw invalid("a socket path of at most 107 bytes") }
            self = .unixSocket(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { throw invalid("HOST:PORT or unix:PATH") }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
            port <= 65535
        else { throw invalid("a port between 0 and 65535 after the last colon") }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.count > 2 else { throw invalid("[IPv6 address]:PORT") }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw invalid("brackets around an IPv6 address, as in [::1]:8080")
        }
        self = .hostPort(host.isEmpty || host == "*" ? "0.0.0.0" : String(host), port)
    }

    /// Address in the form that `init(parsing:)` reads; an inherited socket as `fd:N`.
    package var description: String {
        switch self {
        case .hostPort(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): "unix:\(path)"
        case .inherited(let fileDescriptor): "fd:\(fileDescriptor)"
        }
    }
}

/// Error of an address that cannot be listened on.
package struct HTTPListenError: Error, Hashable, CustomStringConvertible {
    /// Address as configured.
    package let address: String
    /// Reason, such as `address already in use`.
    package let reason: String

    /// One line: `cannot listen on 127.0.0.1:8080: address already in use`.
    package var description: String { "cannot listen on \(address): \(reason)" }
}
