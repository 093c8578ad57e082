import Synchronization

/// Notices that a stream has been silent for too long. Time during which its reader holds it up does not count.
final class SilenceWatch: Sendable {
    private let limit: Duration
    /// `nil` while the reader is busy.
    private let end: Mutex<ContinuousClock.Instant?>

    /// - Parameters:
    ///   - first: how long the beginning may take.
    ///   - later: longest pause after that.
    init(first: Duration, later: Duration) {
        limit = later
        end = Mutex(.now + first)
    }

    /// Something came.
    func heard() { end.withLock { $0 = .now + limit } }

    /// Stops the watch while the reader passes on what came.
    func pause() { end.withLock { $0 = nil } }

    /// Returns when the silence has lasted too long.
    /// - Throws: `CancellationError`.
    func expire() async throws {
        while true {
            let now = ContinuousClock.now
            let end = self.end.withLock { $0 } ?? now + limit
            if end <= now { return }
            // The end may come closer while this sleeps: from the first limit to the later one.
            try await Task.sleep(until: min(end, now + limit), clock: .continuous)
        }
    }
}
