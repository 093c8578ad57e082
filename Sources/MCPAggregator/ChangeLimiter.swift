import MCPServer
import Synchronization

/// Limiter of the changes that one upstream announces: each is passed on at once, and again at most once in an interval,
/// however often the upstream repeats it. Otherwise one notification of an upstream would cost a message to every client,
/// and a list for every client that hears of it. Of more different changes in one interval than ``limit``, the further ones
/// are dropped: an upstream may have invented them.
final class ChangeLimiter: Sendable {
    private struct State {
        var isRunning = false
        /// Changes passed on in the present interval.
        var passedOn: Set<ServerChange> = []
        /// Changes that came again in it.
        var waiting: Set<ServerChange> = []
    }

    /// Largest number of different changes in an interval.
    static let limit = 1024

    private let state = Mutex(State())
    private let pause: @Sendable () async -> Void

    /// - Parameter pause: Waits for one interval.
    init(pause: @escaping @Sendable () async -> Void = { try? await Task.sleep(for: .milliseconds(250)) }) {
        self.pause = pause
    }

    /// Passes on a change, now or at the end of the interval.
    func note(_ change: ServerChange, _ announce: @escaping @Sendable (ServerChange) -> Void) {
        let (isNew, isFirst) = state.withLock { state -> (Bool, Bool) in
            guard state.isRunning else {
                state.isRunning = true
                state.passedOn = [change]
                return (true, true)
            }
            guard !state.passedOn.contains(change) else {
                state.waiting.insert(change)
                return (false, false)
            }
            guard state.passedOn.count < Self.limit else { return (false, false) }
            state.passedOn.insert(change)
            return (true, false)
        }
        if isNew { announce(change) }
        if isFirst { Task { await self.run(announce) } }
    }

    /// Ends intervals until nothing waits any more.
    private func run(_ announce: @Sendable (ServerChange) -> Void) async {
        while true {
            await pause()
            let due = state.withLock { state -> Set<ServerChange> in
                let due = state.waiting
                state.waiting = []
                state.passedOn = due
                state.isRunning = !due.isEmpty
                return due
            }
            if due.isEmpty { return }
            for change in due { announce(change) }
        }
    }
}
