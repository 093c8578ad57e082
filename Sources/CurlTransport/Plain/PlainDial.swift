import Glibc
import NIOCore
import NIOPosix

/// Opening of one connection for a transfer. A name with several addresses is tried as RFC 8305 says.
///
/// `@unchecked Sendable`: confined to the client's event loop.
final class PlainDial: @unchecked Sendable {
    private let client: PlainClient
    private let transfer: PlainTransfer
    private let origin: PlainOrigin
    private var channels: [any Channel] = []
    private var isOver = false

    init(_ transfer: PlainTransfer, origin: PlainOrigin, client: PlainClient) {
        self.transfer = transfer
        self.origin = origin
        self.client = client
    }

    /// Begins. The outcome is told to the client, perhaps before this returns.
    func start() {
        let key = origin.key
        if let path = key.socketPath {
            guard let address = try? SocketAddress(unixDomainSocketPath: path) else {
                return fail(.couldNotConnect, "the path \(path) is too long for a socket")
            }
            return connect(to: [address])
        }
        if let address = try? SocketAddress(ipAddress: key.host, port: key.port) { return connect(to: [address]) }
        client.lookup.addresses(of: key.host, now: client.now) { [self] outcome in
            guard !isOver else { return }
            switch outcome {
            case .success(let addresses): connect(to: addresses.map { $0.with(port: key.port) })
            case .failure(let error): fail(error.kind, error.message)
            }
        }
    }

    /// Gives the attempt up; nothing is told.
    func abandon() {
        guard !isOver else { return }
        isOver = true
        for channel in channels { channel.close(promise: nil) }
        channels = []
        client.dialEnded(origin)
    }

    private func connect(to addresses: [SocketAddress]) {
        let addresses = addresses.filter { client.allows($0) }
        guard let first = addresses.first else {
            return fail(.couldNotConnect, "the address of \(origin.key) is not allowed")
        }
        let limit = transfer.request.connectTimeout
        let bootstrap = ClientBootstrap(group: client.eventLoop)
            .channelOption(.recvAllocator, value: client.receiveAllocator)
            .connectTimeout(limit > .zero ? TimeAmount(limit: limit) : PlainClient.longestConnect)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    // An attempt that was given up has other addresses left.
                    guard !isOver else { throw ChannelError.ioOnClosedChannel }
                    try channel.pipeline.syncOperations.addHandler(PlainConnection(origin: origin, client: client))
                    channels.append(channel)
                }
            }
        let opening =
            addresses.count == 1
            ? bootstrap.connect(to: first)
            : bootstrap.resolver(KnownAddresses(addresses, eventLoop: client.eventLoop))
                .connect(host: origin.key.host, port: origin.key.port)
        opening.whenComplete { [self] result in
            switch result {
            case .success(let channel): opened(channel)
            case .failure(let error): refused(error)
            }
        }
    }

    private func opened(_ channel: any Channel) {
        guard !isOver else { return channel.close(promise: nil) }
        guard let connection = try? channel.pipeline.syncOperations.handler(type: PlainConnection.self),
            connection.activate(channel)
        else {
            channel.close(promise: nil)
            return fail(.couldNotConnect, "the connection closed at once")
        }
        isOver = true
        channels = []
        client.dialed(transfer, connection)
    }

    private func refused(_ error: any Error) {
        guard !isOver else { return }
        client.lookup.forget(origin.key.host)
        var reasons = [error]
        if let error = error as? NIOConnectionError, !error.connectionErrors.isEmpty {
            reasons = error.connectionErrors.map(\.error)
        }
        let ranOut = reasons.allSatisfy { if case .connectTimeout = $0 as? ChannelError { true } else { false } }
        let reason = reasons.map(Self.text(of:)).joined(separator: ", ")
        fail(ranOut ? .timedOut : .couldNotConnect, "\(origin.key): \(reason)")
    }

    private static func text(of error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }

    private func fail(_ kind: CurlError.Kind, _ message: String) {
        isOver = true
        channels = []
        client.dialFailed(transfer, origin, kind, message)
    }
}

/// Resolver that has the answer.
private final class KnownAddresses: Resolver, Sendable {
    private let addresses: [SocketAddress]
    private let eventLoop: any EventLoop

    init(_ addresses: [SocketAddress], eventLoop: any EventLoop) {
        self.addresses = addresses
        self.eventLoop = eventLoop
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        eventLoop.makeSucceededFuture(addresses.filter { $0.protocol == .inet })
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        eventLoop.makeSucceededFuture(addresses.filter { $0.protocol == .inet6 })
    }

    func cancelQueries() {}
}
