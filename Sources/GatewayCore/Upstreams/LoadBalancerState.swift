import NIOCore

/// Which server of an upstream a call goes to, and when: least outstanding calls first, at most so many at once, a
/// bounded queue, and a breaker for each server. No clock and no I/O.
struct LoadBalancerState {
    struct Policy: Hashable, Sendable {
        /// Calls under way at once, over all servers; 0: no bound.
        var concurrency: Int
        /// Calls that may wait for one of them to end.
        var queue: Int
        var breaker: CircuitBreaker.Policy
    }

    /// What the checks know of a server.
    struct Health: Equatable {
        /// The last check failed.
        var isDown = false
        /// When a check last succeeded.
        var proven: NIODeadline?
    }

    enum Admission: Equatable {
        case run(server: Int)
        /// To be asked again when a call ends.
        case wait
        /// The queue is full.
        case overloaded
        /// Every breaker is open.
        case unreachable
    }

    private struct Server {
        var outstanding = 0
        var breaker: CircuitBreaker
    }

    private let policy: Policy
    private var servers: [Server]
    private(set) var outstanding = 0
    private(set) var waiting = 0
    /// Where the search begins: equals take turns.
    private var turn = 0

    init(_ policy: Policy, servers count: Int) {
        self.policy = policy
        servers = Array(repeating: Server(breaker: CircuitBreaker(policy.breaker)), count: count)
    }

    /// Calls of each server that have not ended.
    var outstandingByServer: [Int] { servers.map(\.outstanding) }

    /// What each server's breaker does.
    func breakerPhase(of server: Int) -> CircuitBreaker.Phase { servers[server].breaker.phase }

    /// A place for a new call. After `run`, the call must be ended; after `wait`, it must come back with `resume` or be
    /// taken away with `leave`.
    mutating func admit(now: NIODeadline, health: (Int) -> Health) -> Admission {
        // Those who wait already come first.
        if waiting == 0, hasRoom { return run(now, health) }
        guard waiting < policy.queue else { return .overloaded }
        waiting += 1
        return .wait
    }

    /// A call that has ended, and pauses before it is sent again, keeps its place until `release`.
    mutating func reserve() { outstanding += 1 }

    /// The pause is over: `retry` takes the place, or it is free.
    mutating func release() { outstanding -= 1 }

    /// A place for a call that has just ended without having reached its server.
    mutating func retry(now: NIODeadline, health: (Int) -> Health) -> Admission { run(now, health) }

    /// A place for the first that waits; nil when there is none yet.
    mutating func resume(now: NIODeadline, health: (Int) -> Health) -> Admission? {
        guard waiting > 0, hasRoom else { return nil }
        waiting -= 1
        return run(now, health)
    }

    /// One that waited has given up.
    mutating func leave() { waiting -= 1 }

    mutating func end(server: Int, _ verdict: CircuitBreaker.Verdict, now: NIODeadline) {
        servers[server].outstanding -= 1
        outstanding -= 1
        servers[server].breaker.end(verdict, now: now)
    }

    private var hasRoom: Bool { policy.concurrency == 0 || outstanding < policy.concurrency }

    private mutating func run(_ now: NIODeadline, _ health: (Int) -> Health) -> Admission {
        guard let server = choose(now, health) else { return .unreachable }
        servers[server].breaker.begin(now: now)
        servers[server].outstanding += 1
        outstanding += 1
        return .run(server: server)
    }

    private mutating func choose(_ now: NIODeadline, _ health: (Int) -> Health) -> Int? {
        if servers.count == 1 {
            // What a single server's check says is no reason to refuse: the call may be right.
            if servers[0].breaker.isClosed { return 0 }
            return servers[0].breaker.allows(now: now, proven: health(0).proven) ? 0 : nil
        }
        var best: (server: Int, isDown: Bool)?
        for step in servers.indices {
            let server = (turn + step) % servers.count
            let health = health(server)
            guard servers[server].breaker.allows(now: now, proven: health.proven) else { continue }
            if let known = best {
                if health.isDown != known.isDown {
                    if health.isDown { continue }
                } else if servers[server].outstanding >= servers[known.server].outstanding {
                    continue
                }
            }
            best = (server, health.isDown)
        }
        if let best { turn = (best.server + 1) % servers.count }
        return best?.server
    }
}
