import MCP
import NIOCore

/// A handshake to run for `partition`. Its receiver must run it to its end, even if its own call ends: others wait for
/// it.
struct HandshakeOrder: Sendable {
    let ticket: UInt64
    let partition: CredentialPartition
    let credentials: [(name: String, value: String)]
    let url: String
    let start: HandshakeMachine.Start
    /// Revision that `initialize` requests first.
    let legacyVersion: MCPVersion
}

enum HandshakeOutcome: Sendable {
    case connected(UpstreamConnection)
    case failed(HandshakeError)
}

/// Failure of a handshake. No tool has run.
struct HandshakeError: Error, Sendable {
    /// Failure that every waiting call reports.
    var failure: MCPCallError
    /// True if it concerns only these credentials, so that others should try for themselves.
    var concernsCredentials: Bool
    /// True if nothing was sent, so that another attempt within the waiter's own window is useful.
    var isRefusal: Bool
    /// True if the remembered era is disproved.
    var forgetsEra: Bool
}

/// A session to end with `DELETE`.
struct EvictedSession: Sendable {
    let connection: UpstreamConnection
    let credentials: [(name: String, value: String)]
}

/// Answer to `acquire`.
enum PoolAcquisition {
    case ready(UpstreamConnection)
    /// The waiter is queued, and its owner must run this handshake.
    case handshake(HandshakeOrder)
    /// The waiter is queued; it is woken by the handshake of another call.
    case wait
}

/// Wake-up of a queued waiter. After `handshake` it is still queued.
enum PoolWake: Sendable {
    case ready(UpstreamConnection)
    case handshake(HandshakeOrder)
    case failed(HandshakeError)
}

/// Counters of an upstream's handshakes and sessions.
package struct MCPUpstreamStatistics: Hashable, Sendable {
    /// Number of handshakes begun.
    package internal(set) var handshakes = 0
    /// Number of handshakes that began with a probe.
    package internal(set) var probes = 0
    /// Number of handshakes that ended without a connection.
    package internal(set) var failedHandshakes = 0
    /// Number of legacy sessions.
    package internal(set) var sessions = 0
    /// Number of sessions ended for room or for age.
    package internal(set) var evictions = 0
    /// Number of connections that an answer proved stale.
    package internal(set) var stale = 0
}

/// State of a session pool: era, sessions and waiting calls. No clock, no lock, no I/O. Waiters are values of the
/// driver's choice.
struct SessionPoolState<Waiter> {
    private struct Session {
        var connection: UpstreamConnection
        var credentials: [(name: String, value: String)]
        var inFlight: Int
        var lastUse: NIODeadline
        var previous: CredentialPartition?
        var next: CredentialPartition?
    }

    private struct Handshake {
        var ticket: UInt64
        var waiters: [Waiter]
    }

    private struct ProbeWaiter {
        var partition: CredentialPartition
        var credentials: [(name: String, value: String)]
        var waiter: Waiter
    }

    private(set) var era: EraMemory
    private(set) var statistics = MCPUpstreamStatistics()
    private let limit: Int
    private let idle: TimeAmount
    private var sessions: [CredentialPartition: Session] = [:]
    private var handshakes: [CredentialPartition: Handshake] = [:]
    /// Waiters of partitions other than the probing one; they begin their own handshakes once the era is known.
    private var probeWaiters: [ProbeWaiter] = []
    private var ticket: UInt64 = 0
    /// Ends of the list of sessions without a call in flight, least recently used first.
    private var oldest: CredentialPartition?
    private var newest: CredentialPartition?

    init(
        url: String, era: MCPUpstreamConfiguration.Era, legacyVersion: MCPVersion = .latestLegacy, limit: Int,
        idle: TimeAmount
    ) {
        self.era = EraMemory(url: url, era: era, legacyVersion: legacyVersion)
        self.limit = max(1, limit)
        self.idle = idle
    }

    // MARK: Calls

    /// Returns a connection for a call, or a place in the queue. A `ready` one must be returned with `release`.
    mutating func acquire(
        _ partition: CredentialPartition, credentials: [(name: String, value: String)], waiter: Waiter,
        now: NIODeadline
    ) -> PoolAcquisition {
        if let connection = ready(partition, now: now) { return .ready(connection) }
        if handshakes[partition] != nil {
            handshakes[partition]?.waiters.append(waiter)
            return .wait
        }
        if case .probing = era.knowledge {
            probeWaiters.append(ProbeWaiter(partition: partition, credentials: credentials, waiter: waiter))
            return .wait
        }
        return .handshake(begin(partition, credentials: credentials, waiters: [waiter]))
    }

    /// Returns a connection if there is one, to be returned with `release`; this is all that nearly every call needs.
    mutating func ready(_ partition: CredentialPartition, now: NIODeadline) -> UpstreamConnection? {
        if case .modern(let connection) = era.knowledge { return connection }
        return borrow(partition, now: now)
    }

    /// Takes back the connection of a call that is over.
    mutating func release(_ partition: CredentialPartition, _ connection: UpstreamConnection, now: NIODeadline) {
        guard var session = sessions[partition], session.connection.generation == connection.generation else { return }
        session.inFlight -= 1
        session.lastUse = now
        sessions[partition] = session
        if session.inFlight == 0 { append(partition) }
    }

    /// Removes a connection that an answer proved stale. Only the first of many calls that find out changes anything.
    mutating func discard(_ partition: CredentialPartition, _ connection: UpstreamConnection) {
        if connection.era == .modern {
            guard case .modern(let current) = era.knowledge, current.generation == connection.generation else { return }
            statistics.stale += 1
            era.forget()
            return
        }
        guard sessions[partition]?.connection.generation == connection.generation else { return }
        statistics.stale += 1
        remove(partition)
    }

    /// Stores the target of a redirect that was followed.
    mutating func moved(_ partition: CredentialPartition, _ connection: UpstreamConnection, to url: String) {
        era.moved(to: url)
        if sessions[partition]?.connection.generation == connection.generation {
            sessions[partition]?.connection = connection.moved(to: url)
        }
    }

    // MARK: Handshakes

    /// Returns the next generation number for a connection.
    mutating func nextGeneration() -> UInt64 {
        ticket += 1
        return ticket
    }

    /// Ends a handshake and returns the waiters to wake. Sessions beyond the limit are returned to be ended.
    mutating func finish(
        _ order: HandshakeOrder, _ outcome: HandshakeOutcome, now: NIODeadline
    ) -> (wakes: [(Waiter, PoolWake)], evicted: [EvictedSession]) {
        guard let handshake = handshakes[order.partition], handshake.ticket == order.ticket else { return ([], []) }
        handshakes[order.partition] = nil
        switch outcome {
        case .connected(let connection) where connection.era == .modern:
            era.learn(connection)
            sessions.removeAll()
            (oldest, newest) = (nil, nil)
            statistics.sessions = 0
            var wakes = handshake.waiters.map { ($0, PoolWake.ready(connection)) }
            wakes += probeWaiters.map { ($0.waiter, PoolWake.ready(connection)) }
            probeWaiters = []
            return (wakes, [])
        case .connected(let connection):
            era.learn(connection)
            return (
                open(order, connection, waiters: handshake.waiters, now: now) + startWaiting(),
                evict(now: now, atMost: .max)
            )
        case .failed(let failure):
            statistics.failedHandshakes += 1
            era.failed(ticket: order.ticket)
            if failure.forgetsEra { era.forget() }
            var wakes = handshake.waiters.map { ($0, PoolWake.failed(failure)) }
            if failure.concernsCredentials {
                wakes += startWaiting()
            } else if case .probing = era.knowledge {
                // Another call's probe is in progress: these wait for it.
            } else {
                wakes += probeWaiters.map { ($0.waiter, PoolWake.failed(failure)) }
                probeWaiters = []
            }
            return (wakes, [])
        }
    }

    // MARK: Bounds

    /// Removes sessions that are idle for too long or too many; the oldest ones first.
    mutating func evict(now: NIODeadline, atMost count: Int) -> [EvictedSession] {
        var evicted: [EvictedSession] = []
        while evicted.count < count, let partition = oldest, let session = sessions[partition] {
            guard sessions.count > limit || session.lastUse + idle <= now else { break }
            remove(partition)
            statistics.evictions += 1
            if session.connection.sessionID != nil {
                evicted.append(EvictedSession(connection: session.connection, credentials: session.credentials))
            }
        }
        return evicted
    }

    /// Removes all sessions: the process ends.
    mutating func drain() -> [EvictedSession] {
        let all = sessions.values.filter { $0.connection.sessionID != nil }.map {
            EvictedSession(connection: $0.connection, credentials: $0.credentials)
        }
        sessions.removeAll()
        (oldest, newest) = (nil, nil)
        statistics.sessions = 0
        return all
    }

    // MARK: Inside

    private mutating func begin(
        _ partition: CredentialPartition, credentials: [(name: String, value: String)], waiters: [Waiter]
    ) -> HandshakeOrder {
        ticket += 1
        statistics.handshakes += 1
        handshakes[partition] = Handshake(ticket: ticket, waiters: waiters)
        var start = HandshakeMachine.Start.initialize
        if case .unknown = era.knowledge {
            statistics.probes += 1
            era.probe(ticket: ticket)
            start = .probe
        }
        return HandshakeOrder(
            ticket: ticket, partition: partition, credentials: credentials, url: era.url, start: start,
            legacyVersion: era.legacyVersion)
    }

    /// Starts the partitions that waited for the era: all of them when it is known to be legacy, else the first one,
    /// which probes for itself.
    private mutating func startWaiting() -> [(Waiter, PoolWake)] {
        var wakes: [(Waiter, PoolWake)] = []
        let waiting = probeWaiters
        probeWaiters = []
        for item in waiting {
            if handshakes[item.partition] != nil {
                handshakes[item.partition]?.waiters.append(item.waiter)
            } else if case .probing = era.knowledge {
                probeWaiters.append(item)
            } else {
                let order = begin(item.partition, credentials: item.credentials, waiters: [item.waiter])
                wakes.append((item.waiter, .handshake(order)))
            }
        }
        return wakes
    }

    private mutating func open(
        _ order: HandshakeOrder, _ connection: UpstreamConnection, waiters: [Waiter], now: NIODeadline
    ) -> [(Waiter, PoolWake)] {
        remove(order.partition)
        sessions[order.partition] = Session(
            connection: connection, credentials: order.credentials, inFlight: waiters.count, lastUse: now)
        statistics.sessions = sessions.count
        if waiters.isEmpty { append(order.partition) }
        return waiters.map { ($0, .ready(connection)) }
    }

    private mutating func borrow(_ partition: CredentialPartition, now: NIODeadline) -> UpstreamConnection? {
        guard var session = sessions[partition] else { return nil }
        if session.inFlight == 0 {
            unlink(partition)
            guard let unlinked = sessions[partition] else { return nil }
            session = unlinked
        }
        session.inFlight += 1
        session.lastUse = now
        sessions[partition] = session
        return session.connection
    }

    private mutating func remove(_ partition: CredentialPartition) {
        guard let session = sessions[partition] else { return }
        if session.inFlight == 0 { unlink(partition) }
        sessions[partition] = nil
        statistics.sessions = sessions.count
    }

    private mutating func append(_ partition: CredentialPartition) {
        sessions[partition]?.previous = newest
        sessions[partition]?.next = nil
        if let newest { sessions[newest]?.next = partition } else { oldest = partition }
        newest = partition
    }

    private mutating func unlink(_ partition: CredentialPartition) {
        guard let session = sessions[partition] else { return }
        if let previous = session.previous { sessions[previous]?.next = session.next } else { oldest = session.next }
        if let next = session.next { sessions[next]?.previous = session.previous } else { newest = session.previous }
        sessions[partition]?.previous = nil
        sessions[partition]?.next = nil
    }
}
