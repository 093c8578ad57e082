package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// Statistics for metrics; each is read on its own, so that together they may not be exactly consistent.
package struct HTTPServerStatistics: Hashable, Sendable {
    /// Number of open connections, including refused ones that are still being answered.
    package let connections: Int
    /// Number of requests begun and not yet finished.
    package let activeRequests: Int
    /// Number of connections accepted since the start.
    package let acceptedConnections: Int
    /// Number of connections answered with 503 because of `maximumConnections`.
    package let refusedConnections: Int
}

/// HTTP/1.1 server on SwiftNIO for both processes: limits, timeouts, streaming both ways, disconnects, drain.
///
/// One handler object per connection, created on its event loop. A connection beyond `maximumConnections` is accepted,
/// answered with 503 and closed, so that a load balancer is notified at once; beyond another eighth it is just closed.
package final class HTTPServer: Sendable {
    private struct Loop: Sendable {
        let eventLoop: any EventLoop
        let connections: NIOLoopBoundBox<HTTPLoopConnections>
        let counters: HTTPConnectionCounters
    }

    private enum State {
        case idle
        case running([HTTPListeningSocket])
        case draining
    }

    private let configuration: HTTPServerConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let makeHandler: @Sendable (any EventLoop) -> any HTTPRequestHandler
    private let loops: [ObjectIdentifier: Loop]
    private let openConnections = Atomic<Int>(0)
    private let state = Mutex(State.idle)

    /// - Parameters:
    ///   - group: Event loops that carry the connections, in turn; the first accepts them.
    ///   - logger: Logs `listening` (info), failures to accept (warning) and the drain (info).
    ///   - makeHandler: Called once per connection, on the connection's loop.
    package init(
        configuration: HTTPServerConfiguration, group: any EventLoopGroup, logger: Logger,
        makeHandler: @escaping @Sendable (any EventLoop) -> any HTTPRequestHandler
    ) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.makeHandler = makeHandler
        var loops: [ObjectIdentifier: Loop] = [:]
        for eventLoop in group.makeIterator() {
            let counters = HTTPConnectionCounters()
            let connections = HTTPLoopConnections(
                eventLoop: eventLoop, configuration: configuration, counters: counters)
            loops[ObjectIdentifier(eventLoop)] = Loop(
                eventLoop: eventLoop,
                connections: .makeBoxSendingValue(connections, eventLoop: eventLoop), counters: counters)
        }
        self.loops = loops
    }

    /// Listens on every configured address, or on none: the first that fails closes the others and is thrown as
    /// `HTTPListenError`. Returns the addresses bound, in order.
    ///
    /// Logs `listening` with `listener` and `address` (host and port actually bound) once for each.
    /// - Throws: The system's error, when an address cannot be listened on.
    @discardableResult
    package func start() async throws -> [SocketAddress] {
        var sockets: [HTTPListeningSocket] = []
        do {
            for address in configuration.addresses {
                sockets.append(try await listen(on: address))
            }
        } catch {
            for socket in sockets { await socket.close() }
            throw error
        }
        let isIdle = state.withLock { state in
            guard case .idle = state else { return false }
            state = .running(sockets)
            return true
        }
        // Drained before it was started: nothing may be left listening.
        guard isIdle else {
            for socket in sockets { await socket.close() }
            throw HTTPListenError(
                address: configuration.addresses.map(\.description).joined(separator: ", "),
                reason: "the server was started or stopped before")
        }
        for socket in sockets {
            logger.info(
                "listening", metadata: ["listener": "\(configuration.name)", "address": "\(socket.description)"])
        }
        return sockets.map(\.localAddress)
    }

    /// Stops accepting, closes idle connections at once, answers requests in flight with `Connection: close`, and
    /// returns when all connections are closed; those left after `limit` are cut off. Later calls return when the first
    /// has closed everything.
    package func drain(within limit: Duration) async {
        let sockets = state.withLock { state in
            defer { state = .draining }
            if case .running(let sockets) = state { return sockets }
            return []
        }
        for socket in sockets { await socket.close() }
        let amount = TimeAmount(limit)
        let futures = loops.values.map { loop in
            loop.eventLoop.flatSubmit { loop.connections.value.drain(within: amount) }
        }
        for future in futures { try? await future.get() }
        logger.debug("drained", metadata: ["listener": "\(configuration.name)"])
    }

    /// Numbers of connections and requests, now and since the start.
    package var statistics: HTTPServerStatistics {
        var connections = 0
        var requests = 0
        var accepted = 0
        var refused = 0
        for loop in loops.values {
            connections += loop.counters.open.load(ordering: .relaxed)
            requests += loop.counters.activeRequests.load(ordering: .relaxed)
            accepted += loop.counters.accepted.load(ordering: .relaxed)
            refused += loop.counters.refused.load(ordering: .relaxed)
        }
        return HTTPServerStatistics(
            connections: connections, activeRequests: requests, acceptedConnections: accepted,
            refusedConnections: refused)
    }

    // MARK: Listening

    private func listen(on address: HTTPListenAddress) async throws -> HTTPListeningSocket {
        let logger = logger
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler(logger: logger))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: configuration.receiveBuffer)
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: configuration.writeBufferLowWater, high: configuration.writeBufferHighWater)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
            }
        return try await HTTPListeningSocket.open(address, bootstrap: bootstrap, configuration: configuration)
    }

    /// Serves a connection. Called on the connection's own loop.
    private func accept(_ channel: any Channel) throws {
        guard let loop = loops[ObjectIdentifier(channel.eventLoop)] else {
            throw ChannelError.inappropriateOperationForState
        }
        let remoteAddress = channel.remoteAddress
        if let remoteAddress, remoteAddress.protocol != .unix {
            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        }
        let open = openConnections.wrappingAdd(1, ordering: .relaxed).newValue
        channel.closeFuture.whenComplete { _ in self.openConnections.wrappingSubtract(1, ordering: .relaxed) }
        loop.counters.accepted.wrappingAdd(1, ordering: .relaxed)
        let limit = configuration.maximumConnections
        let isOverflow = limit > 0 && open > limit
        if isOverflow {
            loop.counters.refused.wrappingAdd(1, ordering: .relaxed)
            // Answering a flood of excess connections must not become the problem itself.
            guard open <= limit + limit / 8 + 16 else {
                channel.close(promise: nil)
                return
            }
        }
        let handler = HTTPConnectionHandler(
            connections: loop.connections.value, handler: makeHandler(channel.eventLoop),
            remoteAddress: remoteAddress, isOverflow: isOverflow, now: .now())
        try channel.pipeline.syncOperations.addHandler(handler)
    }
}
