import Logging
import NIOCore
import Redis
import Synchronization

/// The Redis or Valkey server of `rateLimits.shared`. Each worker has a connection of its own.
final class SharedServer: Sendable {
    let configuration: SharedLimitsConfiguration
    private let logger: Logger
    private let state = Mutex(State())
    /// Largest part of a reason that is logged, in bytes.
    private static let longestReason = 200
    /// True from a failure on until the server answers as it should.
    private let isAway = Atomic(false)

    private struct State {
        var connections: [ObjectIdentifier: NIOLoopBound<RedisConnection>] = [:]
        /// Event loops whose connection is open.
        var open: Set<ObjectIdentifier> = []
    }

    init(_ configuration: SharedLimitsConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    deinit {
        for connection in state.withLock({ Array($0.connections.values) }) {
            connection.eventLoop.execute { connection.value.close() }
        }
    }

    /// True while the server answers, and before it was asked.
    var isAvailable: Bool { !isAway.load(ordering: .relaxed) }

    /// Sends a command. The completion is called once, on the event loop, when the timeout is over at the latest.
    func send(
        _ arguments: [[UInt8]], on eventLoop: any EventLoop,
        _ completion: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        connection(on: eventLoop).send(arguments, completion)
    }

    /// Sends a command whose reply does not matter, over any connection that there is.
    func send(_ arguments: [[UInt8]]) {
        guard let connection = state.withLock({ $0.connections.values.first }) else { return }
        connection.eventLoop.execute { connection.value.send(arguments) { _ in } }
    }

    /// Takes note of an answer that was of use.
    func noteSuccess() {
        guard isAway.load(ordering: .relaxed), isAway.exchange(false, ordering: .relaxed) else { return }
        logger.info("shared rate limits are back", metadata: ["server": "\(configuration.address)"])
    }

    /// Logs that the server is away, once until it is back.
    func noteFailure(_ reason: @autoclosure () -> String) {
        guard !isAway.exchange(true, ordering: .relaxed) else { return }
        // The server's own words may be long.
        let reason = reason().utf8.prefix(Self.longestReason)
        logger.warning(
            "shared rate limits are away",
            metadata: [
                "server": "\(configuration.address)", "error": "\(String(decoding: reason, as: UTF8.self))",
                "meanwhile": "\(configuration.onFailure == .local ? "this gateway counts by itself" : "503")",
            ])
    }

    private func connection(on eventLoop: any EventLoop) -> RedisConnection {
        let id = ObjectIdentifier(eventLoop)
        return state.withLock { state in
            if let known = state.connections[id] { return known }
            let made = NIOLoopBound(
                RedisConnection(
                    configuration.address, password: configuration.password?.value,
                    limits: .init(timeout: TimeAmount(configuration.timeout)), eventLoop: eventLoop
                ) { [weak self] reason in self?.changed(reason, id) }, eventLoop: eventLoop)
            state.connections[id] = made
            return made
        }.value
    }

    private func changed(_ reason: RedisError?, _ id: ObjectIdentifier) {
        guard let reason else {
            state.withLock { _ = $0.open.insert(id) }
            return
        }
        let isLast = state.withLock { state in
            state.open.remove(id)
            return state.open.isEmpty
        }
        if isLast { noteFailure("\(reason)") }
    }
}
