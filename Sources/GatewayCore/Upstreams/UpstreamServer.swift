import MCPClient
import NIOCore
import Synchronization

/// Numbers of workers' breakers by phase, except closed ones: each worker has one breaker for each server.
final class BreakerBoard: Sendable {
    private let open = Atomic<Int>(0)
    private let halfOpen = Atomic<Int>(0)

    /// Worst phase of all of them.
    var phase: CircuitBreaker.Phase {
        if open.load(ordering: .relaxed) > 0 { return .open }
        return halfOpen.load(ordering: .relaxed) > 0 ? .halfOpen : .closed
    }

    func changed(from old: CircuitBreaker.Phase, to new: CircuitBreaker.Phase) {
        // The new phase is counted first, so that the breaker never appears closed in between.
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
    /// MCP client with era, sessions and tools; nil for an upstream of another kind.
    let client: MCPUpstream?
    /// The states of the workers' breakers.
    let breakers = BreakerBoard()
    private let checked = Mutex(LoadBalancerState.Health())

    init(_ address: UpstreamAddress, client: MCPUpstream?) {
        self.address = address
        self.client = client
    }

    /// Result of the last check.
    var health: LoadBalancerState.Health { checked.withLock { $0 } }

    /// Stores the result of a check.
    func note(isReachable: Bool, now: NIODeadline) {
        checked.withLock { health in
            health.isDown = !isReachable
            if isReachable { health.proven = now }
        }
    }
}
