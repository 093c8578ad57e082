import Foundation
import JSON
import NIOConcurrencyHelpers
import Testing

@testable import Identity
@testable import Store

@Suite struct LoginThrottleTests {
    /// A throttle with a clock of its own.
    private struct Fixture {
        let throttle: LoginThrottle
        let clock = NIOLockedValueBox(Date(timeIntervalSince1970: 1_790_000_000))

        init(_ policy: LoginThrottle.Policy = .init(), limit: Int = 50_000) {
            let clock = clock
            throttle = LoginThrottle(policy: policy, limit: limit) { clock.withLockedValue { $0 } }
        }

        func advance(_ seconds: Double) { clock.withLockedValue { $0 += seconds } }

        /// How long the attempt must wait; nil for one that was let through, and fails.
        func fails(_ account: String, _ address: String?) -> Duration? {
            switch throttle.begin(account: account, address: address) {
            case .allowed: nil
            case .wait(let time): time
            }
        }

        func succeeds(_ account: String, _ address: String?) -> Bool {
            guard case .allowed(let attempt) = throttle.begin(account: account, address: address) else { return false }
            throttle.succeeded(attempt)
            return true
        }
    }

    @Test func delaysBeginAfterAFewFailuresAndDoubleUpToAMaximum() {
        let fixture = Fixture()
        for _ in 0..<5 { #expect(fixture.fails("alice", "192.0.2.1") == nil) }
        var delays: [Duration] = []
        for _ in 0..<12 {
            guard let wait = fixture.fails("alice", "192.0.2.1") else { break }
            delays.append(wait)
            fixture.advance(wait / .seconds(1))
            #expect(fixture.fails("alice", "192.0.2.1") == nil)
        }
        #expect(delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map { .seconds($0) })
        // Elsewhere the account, and from there another account, are not concerned.
        #expect(fixture.succeeds("bob", "192.0.2.9"))
        fixture.advance(601)
        for _ in 0..<5 { #expect(fixture.fails("alice", "192.0.2.1") == nil) }
    }

    @Test func successTakesTheFailuresBack() {
        let fixture = Fixture()
        for _ in 0..<100 {
            for _ in 0..<4 { #expect(fixture.fails("alice", "192.0.2.1") == nil) }
            #expect(fixture.succeeds("alice", "192.0.2.1"))
            fixture.advance(601)
        }
    }

    @Test func oneAddressGuessesAtFewAccounts() {
        let fixture = Fixture()
        let tried = (0..<1000).filter { fixture.fails("user\($0)", "192.0.2.1") == nil }.count
        #expect(tried == 20)
        // One's own account does not make room for more.
        _ = fixture.succeeds("mallory", "192.0.2.1")
        #expect(fixture.fails("user0", "192.0.2.1") != nil)
    }

    @Test func manyAttemptsAtOnceGainNothing() async {
        let fixture = Fixture()
        let allowed = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<500 { group.addTask { fixture.fails("alice", "192.0.2.1") == nil } }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(allowed == 5)
    }

    /// An account that many addresses guess at still lets its owner in, from where the owner logged in before, and
    /// everywhere within the longest delay.
    @Test func anAccountIsNeverLockedForGood() {
        let fixture = Fixture()
        #expect(fixture.succeeds("alice", "198.51.100.7"))
        let guesses = (0..<10_000).filter { fixture.fails("alice", "10.0.\($0 / 250).\($0 % 250)") == nil }.count
        #expect(guesses == 20)
        #expect(fixture.succeeds("alice", "198.51.100.7"))
        guard let wait = fixture.fails("alice", "203.0.113.5") else {
            Issue.record("an unknown address is not delayed")
            return
        }
        #expect(wait <= .seconds(300))
        fixture.advance(wait / .seconds(1))
        #expect(fixture.succeeds("alice", "203.0.113.5"))
    }

    @Test func anAddressThatKeepsAskingIsDelayedForItself() {
        let fixture = Fixture()
        for number in 0..<20 { _ = fixture.fails("alice", "10.0.0.\(number)") }
        for _ in 0..<40 { #expect(fixture.fails("alice", "192.0.2.1") != nil) }
        fixture.advance(2)
        #expect(fixture.fails("alice", "192.0.2.1") != nil)
        #expect(fixture.succeeds("alice", "203.0.113.5"))
    }

    @Test func withdrawnAttemptsCountNowhere() {
        let fixture = Fixture()
        for _ in 0..<1000 {
            guard case .allowed(let attempt) = fixture.throttle.begin(account: "a", address: "192.0.2.1") else {
                Issue.record("delayed")
                return
            }
            fixture.throttle.withdrawn(attempt)
        }
    }

    @Test func zeroAttemptsMeanNoLimit() {
        let fixture = Fixture(.init(attempts: 0))
        for _ in 0..<1000 { #expect(fixture.fails("alice", "192.0.2.1") == nil) }
    }

    @Test func namesOfAnyLengthAndNumberCostABoundedMemory() {
        let fixture = Fixture(limit: 100)
        let long = String(repeating: "é", count: 100_000)
        for number in 0..<2000 { _ = fixture.fails(long + "\(number)", "2001:db8:0:\(number)") }
        #expect(fixture.throttle.size <= 102)
    }
}
