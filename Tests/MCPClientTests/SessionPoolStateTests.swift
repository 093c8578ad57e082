import MCP
import NIOCore
import Testing

@testable import MCPClient

/// The pool without clock, lock or socket; waiters are numbers.
@Suite struct SessionPoolStateTests {
    typealias Pool = SessionPoolState<Int>

    static func pool(
        era: MCPUpstreamConfiguration.Era = .auto, limit: Int = 100, idle: TimeAmount = .seconds(60)
    ) -> Pool {
        Pool(url: "http://upstream/mcp", era: era, limit: limit, idle: idle)
    }

    static func partition(_ name: String) -> CredentialPartition {
        CredentialPartition(cookies: "sessionid=\(name)", authorization: nil)
    }

    static let now = NIODeadline.uptimeNanoseconds(1_000_000_000)

    static func legacy(_ pool: inout Pool, id: String? = "s") -> UpstreamConnection {
        UpstreamConnection(
            version: .v2025_11_25, sessionID: id, url: pool.era.url, generation: pool.nextGeneration())
    }

    static func modern(_ pool: inout Pool) -> UpstreamConnection {
        UpstreamConnection(
            version: .v2026_07_28, sessionID: nil, url: pool.era.url, generation: pool.nextGeneration())
    }

    static func failure(
        credentials: Bool = false, refusal: Bool = false, forgets: Bool = false
    ) -> HandshakeError {
        HandshakeError(
            failure: MCPCallError(kind: .unreachable, executed: .no, detail: "x"), concernsCredentials: credentials,
            isRefusal: refusal, forgetsEra: forgets)
    }

    func order(_ acquisition: PoolAcquisition) throws -> HandshakeOrder {
        guard case .handshake(let order) = acquisition else { throw Unexpected(what: "\(acquisition)") }
        return order
    }

    func acquire(_ pool: inout Pool, _ name: String, _ waiter: Int, now: NIODeadline = Self.now) -> PoolAcquisition {
        pool.acquire(
            Self.partition(name), credentials: [(name: "Cookie", value: "sessionid=\(name)")], waiter: waiter, now: now)
    }

    /// Opens a session for the partition and gives it back.
    func open(_ pool: inout Pool, _ name: String, now: NIODeadline = Self.now) throws -> UpstreamConnection {
        let order = try order(acquire(&pool, name, 0, now: now))
        let connection = Self.legacy(&pool, id: "id-\(name)")
        _ = pool.finish(order, .connected(connection), now: now)
        pool.release(Self.partition(name), connection, now: now)
        return connection
    }

    @Test func aThousandFirstCallsOfOnePartitionCauseOneHandshake() throws {
        var pool = Self.pool()
        let first = try order(acquire(&pool, "a", 0))
        for waiter in 1..<1000 {
            guard case .wait = acquire(&pool, "a", waiter) else {
                Issue.record("waiter \(waiter) did not wait")
                return
            }
        }
        let connection = Self.legacy(&pool)
        let (wakes, evicted) = pool.finish(first, .connected(connection), now: Self.now)
        #expect(wakes.map(\.0) == Array(0..<1000))
        #expect(wakes.allSatisfy { if case .ready(let got) = $0.1 { got === connection } else { false } })
        #expect(evicted.isEmpty)
        #expect(pool.statistics.handshakes == 1)
        #expect(pool.statistics.sessions == 1)
    }

    @Test func twoPartitionsNeverShareASession() throws {
        var pool = Self.pool()
        let a = try open(&pool, "a")
        let b = try open(&pool, "b")
        guard case .ready(let again) = acquire(&pool, "a", 9), case .ready(let other) = acquire(&pool, "b", 9) else {
            Issue.record("not ready")
            return
        }
        #expect(again === a)
        #expect(other === b)
        #expect(a.sessionID != b.sessionID)
    }

    @Test func theEraIsProbedOnceAndOthersBeginWhenItIsKnown() throws {
        var pool = Self.pool()
        let probe = try order(acquire(&pool, "a", 1))
        #expect(probe.start == .probe)
        guard case .wait = acquire(&pool, "b", 2), case .wait = acquire(&pool, "b", 3),
            case .wait = acquire(&pool, "c", 4)
        else {
            Issue.record("others must wait for the probe")
            return
        }
        let (wakes, _) = pool.finish(probe, .connected(Self.legacy(&pool)), now: Self.now)
        var orders: [(Int, HandshakeOrder)] = []
        for (waiter, wake) in wakes { if case .handshake(let order) = wake { orders.append((waiter, order)) } }
        #expect(orders.map(\.0) == [2, 4])
        #expect(orders.allSatisfy { $0.1.start == .initialize })
        #expect(orders.map(\.1.partition) == [Self.partition("b"), Self.partition("c")])
        // The second waiter of b hears of b's handshake.
        let (more, _) = pool.finish(orders[0].1, .connected(Self.legacy(&pool)), now: Self.now)
        #expect(more.map(\.0) == [2, 3])
        #expect(pool.statistics.probes == 1)
    }

    @Test func oneModernConnectionServesEveryPartition() throws {
        var pool = Self.pool()
        let probe = try order(acquire(&pool, "a", 1))
        _ = acquire(&pool, "b", 2)
        let connection = Self.modern(&pool)
        let (wakes, _) = pool.finish(probe, .connected(connection), now: Self.now)
        #expect(wakes.map(\.0) == [1, 2])
        guard case .ready(let got) = acquire(&pool, "c", 3) else {
            Issue.record("not ready")
            return
        }
        #expect(got === connection)
        #expect(pool.statistics.sessions == 0)
    }

    @Test func refusedCredentialsFailOnlyTheirOwnPartition() throws {
        var pool = Self.pool()
        let probe = try order(acquire(&pool, "a", 1))
        _ = acquire(&pool, "a", 2)
        _ = acquire(&pool, "b", 3)
        _ = acquire(&pool, "c", 4)
        let (wakes, _) = pool.finish(probe, .failed(Self.failure(credentials: true)), now: Self.now)
        #expect(wakes.count == 3)
        for (waiter, wake) in wakes {
            switch (waiter, wake) {
            case (1, .failed), (2, .failed): break
            case (3, .handshake(let order)): #expect(order.start == .probe)
            default: Issue.record("waiter \(waiter) got \(wake)")
            }
        }
        // c goes on waiting for b's probe.
        guard case .handshake(let second) = wakes[2].1 else { return }
        let (rest, _) = pool.finish(second, .connected(Self.modern(&pool)), now: Self.now)
        #expect(rest.map(\.0) == [3, 4])
    }

    @Test func anUnreachableServerFailsEverybodyWhoWaitsForTheProbe() throws {
        var pool = Self.pool()
        let probe = try order(acquire(&pool, "a", 1))
        _ = acquire(&pool, "b", 2)
        let (wakes, _) = pool.finish(probe, .failed(Self.failure(refusal: true)), now: Self.now)
        #expect(wakes.map(\.0) == [1, 2])
        #expect(wakes.allSatisfy { if case .failed = $0.1 { true } else { false } })
        // Nothing was proven: the next one probes again.
        #expect(try order(acquire(&pool, "b", 3)).start == .probe)
        #expect(pool.statistics.failedHandshakes == 1)
    }

    @Test func manyCallsThatFindOneSessionDeadDiscardItOnce() throws {
        var pool = Self.pool()
        let old = try open(&pool, "a")
        _ = acquire(&pool, "a", 1)
        _ = acquire(&pool, "a", 2)
        pool.discard(Self.partition("a"), old)
        let order = try order(acquire(&pool, "a", 1))
        #expect(order.start == .initialize)
        let new = Self.legacy(&pool, id: "new")
        _ = pool.finish(order, .connected(new), now: Self.now)
        // The second call finds out late: the new session must survive.
        pool.discard(Self.partition("a"), old)
        pool.release(Self.partition("a"), old, now: Self.now)
        guard case .ready(let got) = acquire(&pool, "a", 2) else {
            Issue.record("the new session was thrown away")
            return
        }
        #expect(got === new)
        #expect(pool.statistics.stale == 1)
    }

    @Test func aDisprovedModernMemoryIsProbedAgain() throws {
        var pool = Self.pool()
        let probe = try order(acquire(&pool, "a", 1))
        let connection = Self.modern(&pool)
        _ = pool.finish(probe, .connected(connection), now: Self.now)
        pool.discard(Self.partition("a"), connection)
        #expect(try order(acquire(&pool, "a", 2)).start == .probe)
    }

    @Test func aDisprovedLegacyMemoryIsProbedAgain() throws {
        var pool = Self.pool()
        let old = try open(&pool, "a")
        pool.discard(Self.partition("a"), old)
        let initialize = try order(acquire(&pool, "a", 1))
        #expect(initialize.start == .initialize)
        _ = pool.finish(initialize, .failed(Self.failure(credentials: true, forgets: true)), now: Self.now)
        #expect(try order(acquire(&pool, "a", 2)).start == .probe)
    }

    @Test func aConfiguredLegacyUpstreamIsNeverProbed() throws {
        var pool = Self.pool(era: .legacy)
        let order = try order(acquire(&pool, "a", 1))
        #expect(order.start == .initialize)
        _ = pool.finish(order, .failed(Self.failure(forgets: true)), now: Self.now)
        #expect(try self.order(acquire(&pool, "a", 2)).start == .initialize)
        #expect(pool.statistics.probes == 0)
    }

    @Test func theLeastRecentlyUsedIdleSessionMakesRoom() throws {
        var pool = Self.pool(limit: 2)
        let a = try open(&pool, "a")
        _ = try open(&pool, "b")
        // a is used again, so b is the older one.
        guard case .ready = acquire(&pool, "a", 1) else {
            Issue.record("not ready")
            return
        }
        pool.release(Self.partition("a"), a, now: Self.now + .seconds(1))
        let order = try order(acquire(&pool, "c", 2))
        let (_, evicted) = pool.finish(order, .connected(Self.legacy(&pool)), now: Self.now + .seconds(2))
        #expect(evicted.map(\.connection.sessionID) == ["id-b"])
        #expect(evicted.first?.credentials.first?.value == "sessionid=b")
        #expect(pool.statistics.sessions == 2)
        #expect(pool.statistics.evictions == 1)
    }

    @Test func aSessionWithACallInFlightIsNeverEvicted() throws {
        var pool = Self.pool(limit: 1)
        let a = try open(&pool, "a")
        guard case .ready = acquire(&pool, "a", 1) else {
            Issue.record("not ready")
            return
        }
        let order = try order(acquire(&pool, "b", 2))
        let b = Self.legacy(&pool, id: "id-b")
        #expect(pool.finish(order, .connected(b), now: Self.now).evicted.isEmpty)
        #expect(pool.statistics.sessions == 2)
        pool.release(Self.partition("a"), a, now: Self.now)
        #expect(pool.evict(now: Self.now, atMost: 4).map(\.connection.sessionID) == ["id-a"])
    }

    @Test func sessionsEndAfterTheirIdleTime() throws {
        var pool = Self.pool(idle: .seconds(60))
        _ = try open(&pool, "a", now: Self.now)
        _ = try open(&pool, "b", now: Self.now + .seconds(30))
        #expect(pool.evict(now: Self.now + .seconds(59), atMost: 4).isEmpty)
        #expect(pool.evict(now: Self.now + .seconds(60), atMost: 4).map(\.connection.sessionID) == ["id-a"])
        #expect(pool.evict(now: Self.now + .seconds(90), atMost: 4).map(\.connection.sessionID) == ["id-b"])
        #expect(pool.statistics.sessions == 0)
    }

    @Test func sessionsWithoutAnIdNeedNoDelete() throws {
        var pool = Self.pool()
        let order = try order(acquire(&pool, "a", 1))
        let connection = Self.legacy(&pool, id: nil)
        _ = pool.finish(order, .connected(connection), now: Self.now)
        pool.release(Self.partition("a"), connection, now: Self.now)
        #expect(pool.evict(now: Self.now + .hours(1), atMost: 4).isEmpty)
        #expect(pool.statistics.sessions == 0)
        #expect(pool.drain().isEmpty)
    }

    @Test func aFollowedRedirectIsRememberedForLaterSessions() throws {
        var pool = Self.pool()
        let a = try open(&pool, "a")
        pool.moved(Self.partition("a"), a, to: "http://upstream/elsewhere")
        guard case .ready(let moved) = acquire(&pool, "a", 1) else {
            Issue.record("not ready")
            return
        }
        #expect(moved.url == "http://upstream/elsewhere")
        #expect(try order(acquire(&pool, "b", 2)).url == "http://upstream/elsewhere")
        // A new probe asks the configured address again.
        pool.discard(Self.partition("a"), moved)
        let c = try order(acquire(&pool, "a", 3))
        _ = pool.finish(c, .failed(Self.failure(forgets: true)), now: Self.now)
        #expect(try order(acquire(&pool, "c", 4)).url == "http://upstream/mcp")
    }

    @Test func drainingHandsOutEverySession() throws {
        var pool = Self.pool()
        for name in ["a", "b", "c"] { _ = try open(&pool, name) }
        #expect(Set(pool.drain().compactMap(\.connection.sessionID)) == ["id-a", "id-b", "id-c"])
        #expect(pool.statistics.sessions == 0)
        #expect(try order(acquire(&pool, "a", 1)).start == .initialize)
    }

    @Test func tenThousandSessionsStayInOrder() throws {
        var pool = Self.pool(limit: 10_000, idle: .seconds(1))
        for number in 0..<10_000 { _ = try open(&pool, "\(number)") }
        var ids: [String] = []
        while true {
            let evicted = pool.evict(now: Self.now + .seconds(2), atMost: 256)
            if evicted.isEmpty { break }
            ids += evicted.compactMap(\.connection.sessionID)
        }
        #expect(ids == (0..<10_000).map { "id-\($0)" })
    }
}

struct Unexpected: Error { let what: String }
