import MCPClient
import NIOCore
import Synchronization

/// The number of workers' breakers that are not closed: each worker has one of its own for each server.
final class BreakerBoard: Sendable {
    private let open = Atomic<Int>(0)
    private let halfOpen = Atomic<Int>(0)

    /// The worst state of all of them.
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

/// One of the servers of an upstream, shared by all workers.
package final class UpstreamServer: Sendable {
    let address: UpstreamAddress
    /// Era, sessions and tools of an MCP server; nil for an upstream of another kind.
    let client: MCPUpstream?
    /// The states of the workers' breakers.
    let breakers = BreakerBoard()
    private let checked = Mutex(LoadBalancerState.Health())

    init(_ address: UpstreamAddress, client: MCPUpstream?) {
        self.address = address
        self.client = client
    }

    /// What the last check found.
    var health: LoadBalancerState.Health { checked.withLock { $0 } }

    /// Notes what a check found.
    func note(isReachable: Bool, now: NIODeadline) {
        checked.withLock { health in
            health.isDown = !isReachable
            if isReachable { health.proven = now }
        }
    }
}
