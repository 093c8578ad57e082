import NIOCore
import Testing

@testable import GatewayCore

@Suite struct LoadBalancerStateTests {
    private let now = NIODeadline.uptimeNanoseconds(0) + .seconds(100)

    private func balancer(servers: Int = 1, concurrency: Int = 0, queue: Int = 0, failures: Int = 2)
        -> LoadBalancerState
    {
        LoadBalancerState(
            LoadBalancerState.Policy(
                concurrency: concurrency, queue: queue,
                breaker: CircuitBreaker.Policy(failures: failures, pause: .seconds(10))), servers: servers)
    }

    private func healthy(_ server: Int) -> LoadBalancerState.Health { LoadBalancerState.Health() }

    @Test func callsGoToTheLeastBusyServerAndEqualsTakeTurns() {
        var balancer = balancer(servers: 3)
        let first = (0..<6).map { _ in balancer.admit(now: now, health: healthy) }
        #expect(first == [0, 1, 2, 0, 1, 2].map { .run(server: $0) })
        balancer.end(server: 1, .reached, now: now)
        balancer.end(server: 1, .reached, now: now)
        #expect(balancer.admit(now: now, health: healthy) == .run(server: 1))
        #expect(balancer.admit(now: now, health: healthy) == .run(server: 1))
        #expect(balancer.outstandingByServer == [2, 2, 2])
    }

    @Test func aCallWhoseUserIsAskedLeavesItsPlaceAndTakesItBack() {
        var balancer = balancer(concurrency: 1, queue: 1)
        #expect(balancer.admit(now: now, health: healthy) == .run(server: 0))
        balancer.rest(server: 0)
        #expect(balancer.outstanding == 0)
        #expect(balancer.admit(now: now, health: healthy) == .run(server: 0))
        // It does not wait: it runs already.
        balancer.goOn(server: 0)
        #expect(balancer.outstanding == 2 && balancer.outstandingByServer == [2])
        #expect(balancer.admit(now: now, health: healthy) == .wait)
        balancer.end(server: 0, .reached, now: now)
        #expect(balancer.resume(now: now, health: healthy) == nil)
        balancer.end(server: 0, .reached, now: now)
        #expect(balancer.resume(now: now, health: healthy) == .run(server: 0))
    }

    @Test func aServerThatItsCheckFoundDownIsLeftOutWhileAnotherIsUp() {
        var balancer = balancer(servers: 2)
        let health: (Int) -> LoadBalancerState.Health = { .init(isDown: $0 == 0) }
        for _ in 0..<4 { #expect(balancer.admit(now: now, health: health) == .run(server: 1)) }
        let allDown: (Int) -> LoadBalancerState.Health = { _ in .init(isDown: true) }
        #expect(balancer.admit(now: now, health: allDown) == .run(server: 0))
    }

    @Test func anOpenBreakerLeavesItsServerOut() {
        var balancer = balancer(servers: 2)
        for _ in 0..<2 {
            #expect(balancer.admit(now: now, health: { .init(isDown: $0 == 1) }) == .run(server: 0))
            balancer.end(server: 0, .unreachable, now: now)
        }
        #expect(balancer.admit(now: now, health: { .init(isDown: $0 == 1) }) == .run(server: 1))
    }

    @Test func withEveryBreakerOpenCallsFailAtOnce() {
        var balancer = balancer()
        for _ in 0..<2 {
            #expect(balancer.admit(now: now, health: healthy) == .run(server: 0))
            balancer.end(server: 0, .unreachable, now: now)
        }
        #expect(balancer.admit(now: now, health: healthy) == .unreachable)
        // One call tries when the pause is over, the others still fail.
        #expect(balancer.admit(now: now + .seconds(10), health: healthy) == .run(server: 0))
        #expect(balancer.admit(now: now + .seconds(10), health: healthy) == .unreachable)
        balancer.end(server: 0, .reached, now: now + .seconds(11))
        #expect(balancer.admit(now: now + .seconds(11), health: healthy) == .run(server: 0))
    }

    @Test func whatIsTooMuchWaitsAndTheRestIsRefused() {
        var balancer = balancer(concurrency: 2, queue: 2)
        let admissions = (0..<5).map { _ in balancer.admit(now: now, health: healthy) }
        #expect(admissions == [.run(server: 0), .run(server: 0), .wait, .wait, .overloaded])
        #expect(balancer.resume(now: now, health: healthy) == nil)
        balancer.end(server: 0, .reached, now: now)
        // Those who wait come before a new one.
        #expect(balancer.admit(now: now, health: healthy) == .overloaded)
        #expect(balancer.resume(now: now, health: healthy) == .run(server: 0))
        #expect(balancer.resume(now: now, health: healthy) == nil)
        balancer.leave()
        #expect(balancer.waiting == 0)
        #expect(balancer.outstanding == 2)
    }

    @Test func aPlaceThatIsHeldIsNobodyElses() {
        var balancer = balancer(servers: 2, concurrency: 1, queue: 1)
        #expect(balancer.admit(now: now, health: healthy) == .run(server: 0))
        #expect(balancer.admit(now: now, health: healthy) == .wait)
        balancer.end(server: 0, .unreachable, now: now)
        balancer.reserve()
        #expect(balancer.outstanding == 1)
        #expect(balancer.outstandingByServer == [0, 0])
        #expect(balancer.resume(now: now, health: healthy) == nil)
        balancer.release()
        #expect(balancer.retry(now: now, health: healthy) == .run(server: 1))
        #expect(balancer.resume(now: now, health: healthy) == nil)
        balancer.end(server: 1, .reached, now: now)
        #expect(balancer.resume(now: now, health: healthy) == .run(server: 0))
    }

    @Test func shardsShareTheBounds() {
        let policy = LoadBalancerState.Policy(
            concurrency: 10, queue: 0, breaker: CircuitBreaker.Policy(failures: 1, pause: .seconds(1)))
        #expect(policy.shared(by: 4).concurrency == 3)
        #expect(policy.shared(by: 4).queue == 0)
    }
}
