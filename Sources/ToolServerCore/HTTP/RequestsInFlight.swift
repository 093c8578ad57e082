import Synchronization

/// How many requests are being worked on, for the drain: streams that only listen are not counted.
final class RequestsInFlight: Sendable {
    private let count = Atomic<Int>(0)

    func begin() { count.add(1, ordering: .relaxed) }

    func end() { count.subtract(1, ordering: .relaxed) }

    /// Returns when nothing is in flight, or after the limit.
    func finished(within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while count.load(ordering: .relaxed) > 0, ContinuousClock.now < deadline {
            // Once per process's life, so not worth a queue of waiters.
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}
