import Synchronization

/// Number of requests in progress, for the drain; streams that only listen are not counted.
final class RequestsInFlight: Sendable {
    private let count = Atomic<Int>(0)

    func begin() { count.add(1, ordering: .relaxed) }

    func end() { count.subtract(1, ordering: .relaxed) }

    /// Waits until no request is in progress, or the limit has passed.
    func finished(within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while count.load(ordering: .relaxed) > 0, ContinuousClock.now < deadline {
            // Polling, because this happens once, at the end of the process.
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}
