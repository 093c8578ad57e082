import NIOCore
import Testing

@testable import GatewayCore

@Suite struct CircuitBreakerTests {
    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(100 + seconds) }

    private func opened(failures: Int = 3) -> CircuitBreaker {
        var breaker = CircuitBreaker(CircuitBreaker.Policy(failures: failures, pause: .seconds(10)))
        for _ in 0..<failures { breaker.end(.unreachable, now: time(0)) }
        return breaker
    }

    @Test func itOpensOnlyAfterFailuresInARow() {
        var breaker = CircuitBreaker(CircuitBreaker.Policy(failures: 3, pause: .seconds(10)))
        breaker.end(.unreachable, now: time(0))
        breaker.end(.unreachable, now: time(0))
        breaker.end(.reached, now: time(0))
        breaker.end(.unreachable, now: time(0))
        breaker.end(.unknown, now: time(0))
        breaker.end(.unreachable, now: time(0))
        #expect(breaker.allows(now: time(0), proven: nil))
        breaker.end(.unreachable, now: time(0))
        #expect(!breaker.allows(now: time(9), proven: nil))
    }

    @Test func oneCallTriesAfterThePause() {
        var breaker = opened()
        #expect(!breaker.allows(now: time(9), proven: nil))
        #expect(breaker.allows(now: time(10), proven: nil))
        breaker.begin(now: time(10))
        #expect(!breaker.allows(now: time(30), proven: time(30)))
        breaker.end(.reached, now: time(31))
        #expect(breaker.isClosed)
    }

    @Test func aTrialThatFailsOpensItForAnotherPause() {
        var breaker = opened()
        breaker.begin(now: time(10))
        breaker.end(.unreachable, now: time(11))
        #expect(!breaker.allows(now: time(20), proven: nil))
        #expect(breaker.allows(now: time(21), proven: nil))
    }

    @Test func aTrialThatSaysNothingLetsTheNextCallTry() {
        var breaker = opened()
        breaker.begin(now: time(10))
        breaker.end(.unknown, now: time(11))
        #expect(breaker.allows(now: time(11), proven: nil))
    }

    @Test func aCheckThatSucceededSinceLetsACallTryAtOnce() {
        let breaker = opened()
        #expect(!breaker.allows(now: time(1), proven: time(-1)))
        #expect(breaker.allows(now: time(1), proven: time(1)))
    }

    @Test func itCanBeTurnedOff() {
        var breaker = CircuitBreaker(CircuitBreaker.Policy(failures: 0, pause: .seconds(10)))
        for _ in 0..<100 { breaker.end(.unreachable, now: time(0)) }
        #expect(breaker.isClosed)
    }
}
