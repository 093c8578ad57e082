import Glibc
import NIOCore
import NIOPosix

/// Addresses of names, asked on threads of their own and remembered for a minute, as libcurl does. Confined to the event
/// loop.
///
/// `@unchecked Sendable`: `eventLoop` is immutable, everything else is used on it alone.
final class AddressLookup: @unchecked Sendable {
    typealias Outcome = Result<[SocketAddress], CurlError>

    /// Threads for all engines of the process: `getaddrinfo` blocks for as long as the name servers take.
    private static let threads: NIOThreadPool = {
        let threads = NIOThreadPool(numberOfThreads: 8)
        threads.start()
        return threads
    }()
    private static let lifetime = TimeAmount.seconds(60)

    private let eventLoop: any EventLoop
    private var known: [String: (addresses: [SocketAddress], end: NIODeadline)] = [:]
    /// Those who wait for the answer to a question that was asked.
    private var waiting: [String: [(Outcome) -> Void]] = [:]

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Calls the closure with the addresses of a name, without port, in the order of preference; at once when they are
    /// known.
    func addresses(of host: String, now: NIODeadline, _ completion: @escaping (Outcome) -> Void) {
        if let entry = known[host], entry.end > now { return completion(.success(entry.addresses)) }
        if waiting[host] != nil {
            waiting[host]?.append(completion)
            return
        }
        waiting[host] = [completion]
        Self.threads.runIfActive(eventLoop: eventLoop) { Self.resolve(host) }.whenComplete { result in
            switch result {
            case .success(let outcome): self.answer(outcome, of: host)
            case .failure: self.answer(.failure(Self.error("the resolver has ended", host)), of: host)
            }
        }
    }

    /// Forgets the addresses of a name, none of which accepts connections.
    func forget(_ host: String) { known[host] = nil }

    private func answer(_ outcome: Outcome, of host: String) {
        if case .success(let addresses) = outcome {
            let now = NIODeadline.now()
            known = known.filter { $0.value.end > now }
            known[host] = (addresses, now + Self.lifetime)
        }
        for completion in waiting.removeValue(forKey: host) ?? [] { completion(outcome) }
    }

    private static func resolve(_ host: String) -> Outcome {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &first)
        guard code == 0 else { return .failure(error(String(cString: gai_strerror(code)), host)) }
        defer { freeaddrinfo(first) }
        var addresses: [SocketAddress] = []
        var next = first
        while let entry = next?.pointee {
            if let bytes = UnsafeRawPointer(entry.ai_addr) {
                switch entry.ai_family {
                case AF_INET: addresses.append(SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self)))
                case AF_INET6: addresses.append(SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self)))
                default: break
                }
            }
            next = entry.ai_next
        }
        return addresses.isEmpty ? .failure(error("no address", host)) : .success(addresses)
    }

    private static func error(_ reason: String, _ host: String) -> CurlError {
        CurlError(kind: .couldNotResolve, message: "\(host): \(reason)", requestSent: false)
    }
}

extension SocketAddress {
    /// Bytes of an IP address in network order; nil for the path of a socket.
    var addressBytes: [UInt8]? {
        switch self {
        case .v4(let address): withUnsafeBytes(of: address.address.sin_addr) { Array($0) }
        case .v6(let address): withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: nil
        }
    }

    /// Copy of the address with another port.
    func with(port: Int) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }
}
