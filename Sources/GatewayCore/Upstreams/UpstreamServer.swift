import MCPClient
import NIOCore
import Synchronization

/// How many shards' breakers are not closed: each shard has one of its own for each server.
final class BreakerBoard: Sendable {
    private let open = Atomic<Int>(0)
    private let halfOpen = Atomic<Int>(0)

    /// The worst that any of them does.
    var phase: CircuitBreaker.Phase {
        if open.load(ordering: .relaxed) > 0 { return .open }
        return halfOpen.load(ordering: .relaxed) > 0 ? .halfOpen : .closed
    }

    func changed(from old: CircuitBreaker.Phase, to new: CircuitBreaker.Phase) {
        // The new one first: while a breaker turns, it is not closed.
        add(1, to: new)
        add(-1, to: old)
    }

    private func add(_ change: Int, to phase: CircuitBreaker.Phase) {
        switch phase {
        case .closed: break
        case .halfOpen: halfOpen.add(change, ordering: .relaxed)
        case .open: open.add(change, ordering: .relaxed)
        }
    }
}

/// One of the servers of an upstream, shared by all shards.
package final class UpstreamServer: Sendable {
    let address: UpstreamAddress
    /// Era, sessions and tools.
    let client: MCPUpstream
    /// What the shards' breakers do.
    let breakers = BreakerBoard()
    private let checked = ServerHealth()

    init(_ address: UpstreamAddress, client: MCPUpstream) {
        self.address = address
        self.client = client
    }

    /// What the checks know.
    var health: UpstreamGateState.Health { checked.current }

    func note(isReachable: Bool, now: NIODeadline) { checked.note(isReachable: isReachable, now: now) }
}

/// What the checks know of a server; written by the prober, read by every shard.
final class ServerHealth: Sendable {
    private let state = Mutex(UpstreamGateState.Health())

    var current: UpstreamGateState.Health { state.withLock { $0 } }

    func note(isReachable: Bool, now: NIODeadline) {
        state.withLock { health in
            health.isDown = !isReachable
            if isReachable { health.proven = now }
        }
    }
}
