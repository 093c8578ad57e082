import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A real HTTP/1.1 server on 127.0.0.1 (or a Unix socket) whose answer to each request is a function of the test.
///
/// Everything that it sends is written by the script's own bytes, so it can also break every rule: close in the middle
/// of a body, send rubbish, hang. What it received is recorded in `requests`; `waitUntil` waits for a condition on the
/// record without a fixed sleep.
///
/// ```swift
/// let server = try await ScriptedHTTPServer { request in
///     request.path == "/slow" ? .hang : .json(#"{"ok":true}"#)
/// }
/// defer { server.stop() }
/// ```
package final class ScriptedHTTPServer: Sendable {
    /// Called once per whole request, in order within a connection.
    package typealias Respond = @Sendable (ScriptedRequest) async -> ScriptedResponse
    /// Called when the head is in: an answer other than nil is sent without reading the body.
    package typealias RespondEarly = @Sendable (ScriptedRequest) -> ScriptedResponse?

    private let respond: Respond
    private let early: RespondEarly
    private let unixSocketPath: String?
    private let receiveBufferSize: Int?
    private let record = Mutex(ScriptedServerRecord())
    private let listener = Mutex<(channel: (any Channel)?, port: Int)>((nil, 0))
    /// Accepted connections that are still open.
    private let connections = Mutex<[Int: any Channel]>([:])

    /// Binds and starts to listen.
    /// - Parameters:
    ///   - unixSocketPath: listen there instead of on 127.0.0.1 with a free port.
    ///   - receiveBufferSize: SO_RCVBUF of the accepted sockets; small values make upload backpressure visible.
    package init(
        unixSocketPath: String? = nil, receiveBufferSize: Int? = nil, early: @escaping RespondEarly = { _ in nil },
        _ respond: @escaping Respond
    ) async throws {
        self.respond = respond
        self.early = early
        self.unixSocketPath = unixSocketPath
        self.receiveBufferSize = receiveBufferSize
        try await listen(port: 0)
    }

    /// Port it listens on (0 for a Unix socket). Stays the same over `stop()` and `restart()`.
    package var port: Int { listener.withLock { $0.port } }
    /// `http://127.0.0.1:PORT` without a trailing slash (`http://localhost` for a Unix socket).
    package var url: String { unixSocketPath == nil ? "http://127.0.0.1:\(port)" : "http://localhost" }
    /// Every request that arrived whole (or was answered early), in the order of arrival.
    package var requests: [ScriptedRequest] { record.withLock { $0.requests } }
    /// Snapshot of everything that was recorded.
    package var log: ScriptedServerRecord { record.withLock { $0 } }

    /// Waits until the record fulfils a condition.
    /// - Throws: `ScriptedServerTimeout` after `limit`, with the record that did not fulfil it.
    package func waitUntil(
        within limit: Duration = .seconds(10), _ condition: @Sendable (ScriptedServerRecord) -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit.underSanitizer
        while true {
            let log = self.log
            if condition(log) { return }
            if ContinuousClock.now > end { throw ScriptedServerTimeout(log: log) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Closes the listening socket and every connection; returns at once.
    package func stop() {
        let channel = listener.withLock { state in
            defer { state.channel = nil }
            return state.channel
        }
        channel?.close(promise: nil)
        closeConnections()
    }

    /// As `stop`, but returns when the port refuses connections.
    package func stopAndWait() async throws {
        let channel = listener.withLock { state in
            defer { state.channel = nil }
            return state.channel
        }
        try await channel?.close().get()
        closeConnections()
        try await waitUntil { $0.openConnections == 0 }
    }

    /// Listens again on the same port (or path).
    package func restart() async throws {
        try await stopAndWait()
        try await listen(port: port)
    }

    /// Closes every open connection (idle ones too), and keeps listening.
    package func closeConnections() {
        for channel in connections.withLock({ Array($0.values) }) { channel.close(promise: nil) }
    }

    private func listen(port: Int) async throws {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.socketOption(.tcp_nodelay), value: unixSocketPath == nil ? 1 : 0)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let size = self.receiveBufferSize {
                        try channel.syncOptions?.setOption(.socketOption(.so_rcvbuf), value: size)
                    }
                    let handler = ScriptedConnection(server: self, id: self.accepted(channel))
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)), handler)
                }
            }
        let channel: any Channel
        if let unixSocketPath {
            channel = try await bootstrap.bind(unixDomainSocketPath: unixSocketPath, cleanupExistingSocketFile: true)
                .get()
        } else {
            channel = try await bootstrap.bind(host: "127.0.0.1", port: port).get()
        }
        listener.withLock { $0 = (channel, channel.localAddress?.port ?? 0) }
    }

    private func accepted(_ channel: any Channel) -> Int {
        let id = record.withLock {
            $0.acceptedConnections += 1
            $0.openConnections += 1
            return $0.acceptedConnections - 1
        }
        connections.withLock { $0[id] = channel }
        // Not `channelInactive`: a connection that is accepted while the server stops is closed without having been
        // active.
        channel.closeFuture.whenComplete { _ in
            self.connections.withLock { _ = $0.removeValue(forKey: id) }
            self.record.withLock { $0.openConnections -= 1 }
        }
        return id
    }

    func received(_ request: inout ScriptedRequest) {
        record.withLock {
            request.index = $0.requests.count
            $0.requests.append(request)
        }
    }

    func receivedMalformed() { record.withLock { $0.malformedRequests += 1 } }
    func receivedBody(_ count: Int) { record.withLock { $0.bodyBytesReceived += count } }
    func sent(_ count: Int) { record.withLock { $0.bytesSent += count } }
    func abandoned() { record.withLock { $0.abandonedResponses += 1 } }
    func answer(_ request: ScriptedRequest) async -> ScriptedResponse { await respond(request) }
    func answerEarly(_ request: ScriptedRequest) -> ScriptedResponse? { early(request) }
}
