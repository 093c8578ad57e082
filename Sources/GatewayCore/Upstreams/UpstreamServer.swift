import MCPClient
import NIOCore
import Synchronization

/// One of the servers of an upstream, shared by all shards.
package final class UpstreamServer: Sendable {
    let address: UpstreamAddress
    /// Era, sessions and tools.
    let client: MCPUpstream
    private let checked = Mutex(UpstreamGateState.Health())

    init(_ address: UpstreamAddress, client: MCPUpstream) {
        self.address = address
        self.client = client
    }

    /// What the checks know.
    var health: UpstreamGateState.Health { checked.withLock { $0 } }

    func note(isReachable: Bool, now: NIODeadline) {
        checked.withLock { health in
            health.isDown = !isReachable
            if isReachable { health.proven = now }
        }
    }
}
