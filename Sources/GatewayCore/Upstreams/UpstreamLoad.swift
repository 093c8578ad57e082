import Synchronization

/// What the gates of an upstream, one for each shard, tell about themselves, for metrics.
final class UpstreamLoad: Sendable {
    /// Written by one gate, on its event loop; read from anywhere.
    final class Part: Sendable {
        let outstanding = Atomic<Int>(0)
        let waiting = Atomic<Int>(0)
    }

    private let parts = Mutex<[Part]>([])

    /// A place for one more gate.
    func add() -> Part {
        let part = Part()
        parts.withLock { $0.append(part) }
        return part
    }

    /// Calls that have not ended, of all shards.
    var outstanding: Int { sum { $0.outstanding.load(ordering: .relaxed) } }

    /// Calls that wait for a place, of all shards.
    var waiting: Int { sum { $0.waiting.load(ordering: .relaxed) } }

    private func sum(_ value: (Part) -> Int) -> Int {
        parts.withLock { $0.reduce(0) { $0 + value($1) } }
    }
}
