import Synchronization

/// Load that an upstream's load balancers, one for each worker, report for metrics.
final class UpstreamLoad: Sendable {
    /// Load of one load balancer: written on its event loop, read from any thread.
    final class Part: Sendable {
        let outstanding = Atomic<Int>(0)
        let waiting = Atomic<Int>(0)
    }

    private let parts = Mutex<[Part]>([])

    /// Adds a part for one more load balancer.
    func add() -> Part {
        let part = Part()
        parts.withLock { $0.append(part) }
        return part
    }

    /// Number of calls that have not ended, of all workers.
    var outstanding: Int { sum { $0.outstanding.load(ordering: .relaxed) } }

    /// Number of calls that wait for a place, of all workers.
    var waiting: Int { sum { $0.waiting.load(ordering: .relaxed) } }

    private func sum(_ value: (Part) -> Int) -> Int {
        parts.withLock { $0.reduce(0) { $0 + value($1) } }
    }
}
