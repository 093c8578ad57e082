import CurlTransport
import Synchronization

/// Notices that a stream has been silent for too long, and ends its transfer. Time during which its reader holds it up
/// does not count.
final class SilenceWatch: Sendable {
    private struct State {
        /// `nil` while the reader is busy.
        var end: ContinuousClock.Instant?
        var transfer: CurlTransfer?
        var isOver = false
    }

    private let limit: Duration
    private let state: Mutex<State>

    /// - Parameters:
    ///   - first: how long the beginning may take.
    ///   - later: longest pause after that.
    init(first: Duration, later: Duration) {
        limit = later
        state = Mutex(State(end: .now + first))
    }

    /// What to end.
    func guards(_ transfer: CurlTransfer) { state.withLock { $0.transfer = transfer } }

    /// Something came.
    func heard() { state.withLock { $0.end = .now + limit } }

    /// Stops the watch while the reader passes on what came.
    func pause() { state.withLock { $0.end = nil } }

    /// Whether the silence lasted too long; from then on for good.
    var isOver: Bool { state.withLock { $0.isOver } }

    fileprivate func look(_ now: ContinuousClock.Instant) {
        let transfer = state.withLock { state -> CurlTransfer? in
            guard !state.isOver, let end = state.end, end <= now else { return nil }
            state.isOver = true
            return state.transfer
        }
        transfer?.cancel()
    }
}

/// Looks at the watches of all streams from one task: hundreds of tasks that sleep would take as much memory as what
/// they are to guard.
final class SilenceWatches: Sendable {
    /// How much later than at its end a silence may be noticed.
    static let interval = Duration.milliseconds(50)

    private struct State {
        var watches: [ObjectIdentifier: SilenceWatch] = [:]
        var isLooking = false
    }

    private let state = Mutex(State())

    func add(_ watch: SilenceWatch) {
        let mustLook = state.withLock { state in
            state.watches[ObjectIdentifier(watch)] = watch
            defer { state.isLooking = true }
            return !state.isLooking
        }
        if mustLook { Task { await look() } }
    }

    func remove(_ watch: SilenceWatch) {
        state.withLock { _ = $0.watches.removeValue(forKey: ObjectIdentifier(watch)) }
    }

    /// Until there is nothing to look at.
    private func look() async {
        while true {
            try? await Task.sleep(for: Self.interval)
            let watches = state.withLock { state in
                state.isLooking = !state.watches.isEmpty
                return Array(state.watches.values)
            }
            if watches.isEmpty { return }
            let now = ContinuousClock.now
            for watch in watches { watch.look(now) }
        }
    }
}
