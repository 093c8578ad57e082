import NIOCore

/// Scheduling of an upstream's calls: the server with the fewest outstanding calls first, a limit on all of them, a
/// bounded queue, and a breaker for each server. No clock and no I/O.
struct LoadBalancerState {
    struct Policy: Hashable, Sendable {
        /// Largest number of calls in progress, over all servers; 0: no limit.
        var concurrency: Int
        /// Largest number of calls that wait for one of them to end.
        var queue: Int
        var breaker: CircuitBreaker.Policy
    }

    /// Result of the checks of a server.
    struct Health: Equatable {
        /// True if the last check failed.
        var isDown = false
        /// Time at which a check last succeeded.
        var proven: NIODeadline?
    }

    enum Admission: Equatable {
        case run(server: Int)
        /// The call waits; it is started when another one ends.
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
    /// Index of the server where the search begins: equally loaded servers take turns.
    private var turn = 0

    init(_ policy: Policy, servers count: Int) {
        self.policy = policy
        servers = Array(repeating: Server(breaker: CircuitBreaker(policy.breaker)), count: count)
    }

    /// Number of outstanding calls of each server.
    var outstandingByServer: [Int] { servers.map(\.outstanding) }

    /// Returns the phase of a server's breaker.
    func breakerPhase(of server: Int) -> CircuitBreaker.Phase { servers[server].breaker.phase }

    /// Admits a new call. After `run`, the call must be ended; after `wait`, it must come back with `resume` or be
    /// removed with `leave`.
    mutating func admit(now: NIODeadline, health: (Int) -> Health) -> Admission {
        // Calls that wait already come first.
        if waiting == 0, hasRoom { return run(now, health) }
        guard waiting < policy.queue else { return .overloaded }
        waiting += 1
        return .wait
    }

    /// Keeps the place of a call that has ended and pauses before it is retried, until `release`.
    mutating func reserve() { outstanding += 1 }

    /// Releases a reserved place at the end of the pause; `retry` may take it at once.
    mutating func release() { outstanding -= 1 }

    /// Gives the place of a call in progress to others while its user is asked.
    mutating func rest(server: Int) {
        servers[server].outstanding -= 1
        outstanding -= 1
    }

    /// Takes the place of a call back whose user has answered. It runs at its server, so that it does not wait, even where
    /// the bound is exceeded for a while.
    mutating func goOn(server: Int) {
        servers[server].outstanding += 1
        outstanding += 1
    }

    /// Admits a call that has just ended without having reached its server.
    mutating func retry(now: NIODeadline, health: (Int) -> Health) -> Admission { run(now, health) }

    /// Admits the first waiting call; nil when there is no room yet.
    mutating func resume(now: NIODeadline, health: (Int) -> Health) -> Admission? {
        guard waiting > 0, hasRoom else { return nil }
        waiting -= 1
        return run(now, health)
    }

    /// Removes a call that has stopped waiting.
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
            // A failed check of the only server does not refuse calls: the call may succeed where the check did not.
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
