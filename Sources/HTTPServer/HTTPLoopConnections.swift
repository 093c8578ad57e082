import Glibc
import Logging
import NIOCore
import Synchronization

/// Counters of one event loop; written there, read from any thread.
final class HTTPConnectionCounters: Sendable {
    let accepted = Atomic<Int>(0)
    let refused = Atomic<Int>(0)
    let open = Atomic<Int>(0)
    let activeRequests = Atomic<Int>(0)

    func requestStarted() { activeRequests.wrappingAdd(1, ordering: .relaxed) }
    func requestFinished() { activeRequests.wrappingSubtract(1, ordering: .relaxed) }
}

/// All connections of one server on one event loop, with their shared state: settings, the `Date` line, and one timer
/// that checks every deadline. Confined to the loop.
///
/// One coarse timer for all connections costs less than a timer per request, which would be scheduled and cancelled in
/// a heap twice for every request; timeouts are late by at most `tick`.
final class HTTPLoopConnections {
    let eventLoop: any EventLoop
    let configuration: HTTPServerConfiguration
    let timeouts: HTTPConnectionStateMachine.Timeouts
    let counters: HTTPConnectionCounters
    var date = HTTPDateLine()
    private(set) var isDraining = false

    private let tick: TimeAmount
    private var connections: [HTTPConnectionHandler] = []
    private var isTicking = false
    private var emptied: EventLoopPromise<Void>?

    init(eventLoop: any EventLoop, configuration: HTTPServerConfiguration, counters: HTTPConnectionCounters) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.counters = counters
        timeouts = HTTPConnectionStateMachine.Timeouts(
            header: TimeAmount(configuration.headerTimeout),
            body: HTTPBodyDeadline.Limits(
                pause: TimeAmount(configuration.bodyTimeout), total: TimeAmount(configuration.bodyTotal),
                rate: configuration.bodyRate),
            idle: TimeAmount(configuration.idleTimeout), write: TimeAmount(configuration.writeTimeout),
            writeRate: configuration.writeRate, linger: TimeAmount(configuration.lingeringTimeout),
            drainIdle: TimeAmount(configuration.drainIdleGrace))
        let shortest = min(
            timeouts.header, timeouts.body.pause, timeouts.body.total, timeouts.idle, timeouts.write, timeouts.linger)
        tick = .nanoseconds(min(max(shortest.nanoseconds / 8, 5_000_000), 1_000_000_000))
    }

    func add(_ connection: HTTPConnectionHandler) {
        connection.index = connections.count
        connections.append(connection)
        counters.open.wrappingAdd(1, ordering: .relaxed)
        startTicking()
    }

    func remove(_ connection: HTTPConnectionHandler) {
        let index = connection.index
        guard index >= 0 else { return }
        connection.index = -1
        counters.open.wrappingSubtract(1, ordering: .relaxed)
        let last = connections.removeLast()
        if last !== connection {
            connections[index] = last
            last.index = index
        }
        if connections.isEmpty, let emptied {
            self.emptied = nil
            emptied.succeed()
        }
    }

    /// Closes idle connections, lets the others close after their response, and succeeds when none is left; after
    /// `limit`, closes all of them.
    func drain(within limit: TimeAmount) -> EventLoopFuture<Void> {
        isDraining = true
        if let emptied { return emptied.futureResult }
        let now = NIODeadline.now()
        // Connections remove themselves as they close.
        for connection in connections { connection.drain(now: now) }
        guard !connections.isEmpty else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        emptied = promise
        // The deadlines of a drain may be too short for the regular tick.
        for deadline in Set([timeouts.drainNewConnection, timeouts.drainIdle]) where deadline > .zero {
            eventLoop.assumeIsolated().scheduleTask(in: deadline + .milliseconds(1)) { [weak self] in self?.check() }
        }
        let cutOff = eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
            for connection in connections { connection.closeNow() }
        }
        promise.futureResult.assumeIsolated().whenComplete { _ in cutOff.cancel() }
        return promise.futureResult
    }

    /// Makes the coming close send a reset instead of an orderly end.
    func resetOnClose(_ channel: any Channel) {
        guard let provider = channel as? any SocketOptionProvider else { return }
        _ = provider.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }

    private func startTicking() {
        guard !isTicking else { return }
        isTicking = true
        scheduleTick()
    }

    private func scheduleTick() {
        eventLoop.assumeIsolated().scheduleTask(in: tick) { [weak self] in
            guard let self else { return }
            check()
            if connections.isEmpty { isTicking = false } else { scheduleTick() }
        }
    }

    private func check() {
        let now = NIODeadline.now()
        // Collected first, since acting on one removes it from the list.
        var due: [HTTPConnectionHandler] = []
        for connection in connections where connection.isDue(now) { due.append(connection) }
        for connection in due { connection.deadlinesPassed(now: now) }
    }
}
