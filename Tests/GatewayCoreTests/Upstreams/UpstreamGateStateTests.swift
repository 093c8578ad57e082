import NIOCore
import Testing

@testable import GatewayCore

@Suite struct UpstreamGateStateTests {
    private let now = NIODeadline.uptimeNanoseconds(0) + .seconds(100)

    private func gate(servers: Int = 1, concurrency: Int = 0, queue: Int = 0, failures: Int = 2) -> UpstreamGateState {
        UpstreamGateState(
            UpstreamGateState.Policy(
                concurrency: concurrency, queue: queue,
                breaker: CircuitBreaker.Policy(failures: failures, pause: .seconds(10))), servers: servers)
    }

    private func healthy(_ server: Int) -> UpstreamGateState.Health { UpstreamGateState.Health() }

    @Test func callsGoToTheLeastBusyServerAndEqualsTakeTurns() {
        var gate = gate(servers: 3)
        let first = (0..<6).map { _ in gate.admit(now: now, health: healthy) }
        #expect(first == [0, 1, 2, 0, 1, 2].map { .run(server: $0) })
        gate.end(server: 1, .reached, now: now)
        gate.end(server: 1, .reached, now: now)
        #expect(gate.admit(now: now, health: healthy) == .run(server: 1))
        #expect(gate.admit(now: now, health: healthy) == .run(server: 1))
        #expect(gate.outstandingByServer == [2, 2, 2])
    }

    @Test func aServerThatItsCheckFoundDownIsLeftOutWhileAnotherIsUp() {
        var gate = gate(servers: 2)
        let health: (Int) -> UpstreamGateState.Health = { .init(isDown: $0 == 0) }
        for _ in 0..<4 { #expect(gate.admit(now: now, health: health) == .run(server: 1)) }
        let allDown: (Int) -> UpstreamGateState.Health = { _ in .init(isDown: true) }
        #expect(gate.admit(now: now, health: allDown) == .run(server: 0))
    }

    @Test func anOpenBreakerLeavesItsServerOut() {
        var gate = gate(servers: 2)
        for _ in 0..<2 {
            #expect(gate.admit(now: now, health: { .init(isDown: $0 == 1) }) == .run(server: 0))
            gate.end(server: 0, .unreachable, now: now)
        }
        #expect(gate.admit(now: now, health: { .init(isDown: $0 == 1) }) == .run(server: 1))
    }

    @Test func withEveryBreakerOpenCallsFailAtOnce() {
        var gate = gate()
        for _ in 0..<2 {
            #expect(gate.admit(now: now, health: healthy) == .run(server: 0))
            gate.end(server: 0, .unreachable, now: now)
        }
        #expect(gate.admit(now: now, health: healthy) == .unreachable)
        // One call tries when the pause is over, the others still fail.
        #expect(gate.admit(now: now + .seconds(10), health: healthy) == .run(server: 0))
        #expect(gate.admit(now: now + .seconds(10), health: healthy) == .unreachable)
        gate.end(server: 0, .reached, now: now + .seconds(11))
        #expect(gate.admit(now: now + .seconds(11), health: healthy) == .run(server: 0))
    }

    @Test func whatIsTooMuchWaitsAndTheRestIsRefused() {
        var gate = gate(concurrency: 2, queue: 2)
        let admissions = (0..<5).map { _ in gate.admit(now: now, health: healthy) }
        #expect(admissions == [.run(server: 0), .run(server: 0), .wait, .wait, .overloaded])
        #expect(gate.resume(now: now, health: healthy) == nil)
        gate.end(server: 0, .reached, now: now)
        // Those who wait come before a new one.
        #expect(gate.admit(now: now, health: healthy) == .overloaded)
        #expect(gate.resume(now: now, health: healthy) == .run(server: 0))
        #expect(gate.resume(now: now, health: healthy) == nil)
        gate.leave()
        #expect(gate.waiting == 0)
        #expect(gate.outstanding == 2)
    }

    @Test func aPlaceThatIsHeldIsNobodyElses() {
        var gate = gate(servers: 2, concurrency: 1, queue: 1)
        #expect(gate.admit(now: now, health: healthy) == .run(server: 0))
        #expect(gate.admit(now: now, health: healthy) == .wait)
        gate.end(server: 0, .unreachable, now: now)
        gate.hold()
        #expect(gate.outstanding == 1)
        #expect(gate.outstandingByServer == [0, 0])
        #expect(gate.resume(now: now, health: healthy) == nil)
        gate.release()
        #expect(gate.again(now: now, health: healthy) == .run(server: 1))
        #expect(gate.resume(now: now, health: healthy) == nil)
        gate.end(server: 1, .reached, now: now)
        #expect(gate.resume(now: now, health: healthy) == .run(server: 0))
    }

    @Test func shardsShareTheBounds() {
        let policy = UpstreamGateState.Policy(
            concurrency: 10, queue: 0, breaker: CircuitBreaker.Policy(failures: 1, pause: .seconds(1)))
        #expect(policy.shared(by: 4).concurrency == 3)
        #expect(policy.shared(by: 4).queue == 0)
    }
}
