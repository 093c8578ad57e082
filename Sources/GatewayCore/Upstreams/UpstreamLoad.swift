import Synchronization

/// The load that an upstream's load balancers, one for each worker, report for metrics.
final class UpstreamLoad: Sendable {
    /// Written by one load balancer, on its event loop; read from anywhere.
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

    /// Calls that have not ended, of all workers.
    var outstanding: Int { sum { $0.outstanding.load(ordering: .relaxed) } }

    /// Calls that wait for a place, of all workers.
    var waiting: Int { sum { $0.waiting.load(ordering: .relaxed) } }

    private func sum(_ value: (Part) -> Int) -> Int {
        parts.withLock { $0.reduce(0) { $0 + value($1) } }
    }
}
