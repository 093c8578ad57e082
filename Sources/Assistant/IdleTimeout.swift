import CurlTransport
import Synchronization

/// Idle timeout of a stream: ends its transfer when nothing has arrived for too long. Time during which the reader of
/// the stream delays it does not count.
final class IdleTimeout: Sendable {
    private struct State {
        /// Instant at which the pause is too long; nil while the reader is busy.
        var end: ContinuousClock.Instant?
        var transfer: CurlTransfer?
        var isOver = false
    }

    private let limit: Duration
    private let state: Mutex<State>

    /// Creates a timeout.
    /// - Parameters:
    ///   - first: Longest time until the beginning.
    ///   - later: Longest pause after that.
    init(first: Duration, later: Duration, now: ContinuousClock.Instant = .now) {
        limit = later
        state = Mutex(State(end: now + first))
    }

    /// Sets the transfer that is ended.
    func guards(_ transfer: CurlTransfer) { state.withLock { $0.transfer = transfer } }

    /// Begins the next pause: something has arrived.
    func heard(_ now: ContinuousClock.Instant = .now) { state.withLock { $0.end = now + limit } }

    /// Stops the clock while the reader passes on what arrived.
    func pause() { state.withLock { $0.end = nil } }

    /// True once a pause was too long.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// Ends the transfer when the pause is over at an instant.
    func check(_ now: ContinuousClock.Instant) {
        let transfer = state.withLock { state -> CurlTransfer? in
            guard !state.isOver, let end = state.end, end <= now else { return nil }
            state.isOver = true
            return state.transfer
        }
        transfer?.cancel()
    }
}

/// Idle timeouts of all streams, checked by one task: hundreds of sleeping tasks would take as much memory as the
/// streams themselves.
final class IdleTimeouts: Sendable {
    /// Time between two checks, and so the longest delay in noticing that a pause was too long.
    static let interval = Duration.milliseconds(50)

    private struct State {
        var timeouts: [ObjectIdentifier: IdleTimeout] = [:]
        var isChecking = false
    }

    private let state = Mutex(State())

    /// Starts checking a timeout.
    func add(_ timeout: IdleTimeout) {
        let mustCheck = state.withLock { state in
            state.timeouts[ObjectIdentifier(timeout)] = timeout
            defer { state.isChecking = true }
            return !state.isChecking
        }
        if mustCheck { Task { await check() } }
    }

    /// Stops checking a timeout.
    func remove(_ timeout: IdleTimeout) {
        state.withLock { _ = $0.timeouts.removeValue(forKey: ObjectIdentifier(timeout)) }
    }

    /// Checks all timeouts until there are none left.
    private func check() async {
        while true {
            try? await Task.sleep(for: Self.interval)
            let timeouts = state.withLock { state in
                state.isChecking = !state.timeouts.isEmpty
                return Array(state.timeouts.values)
            }
            if timeouts.isEmpty { return }
            let now = ContinuousClock.now
            for timeout in timeouts { timeout.check(now) }
        }
    }
}
