import CurlTransport
import Logging
import NIOConcurrencyHelpers
import Testing
import ToolServerTestSupport

@testable import Assistant

@Suite struct ProviderEjectionTests {
    private final class Clock: Sendable {
        private let start = ContinuousClock.now
        private let passed = NIOLockedValueBox(Duration.zero)
        func advance(_ duration: Duration) { passed.withLockedValue { $0 += duration } }
        var now: @Sendable () -> ContinuousClock.Instant {
            { [start, passed] in start + passed.withLockedValue { $0 } }
        }
    }

    private let clock = Clock()

    private func ejection(_ count: Int, _ coolDown: Duration = .seconds(30)) -> ProviderEjection {
        ProviderEjection(count: count, coolDown: coolDown, now: clock.now)
    }

    @Test func whoFailedComesLastUntilItsTimeIsOver() {
        let ejection = ejection(3)
        #expect(ejection.order() == [0, 1, 2])
        ejection.failed(0, retryAfter: nil)
        #expect(ejection.order() == [1, 2, 0])
        ejection.failed(1, retryAfter: nil)
        #expect(ejection.order() == [2, 0, 1])
        clock.advance(.seconds(31))
        #expect(ejection.order() == [0, 1, 2])
    }

    @Test func oneCallTriesAfterTheRestAndTheOthersDoNot() {
        let ejection = ejection(2)
        ejection.failed(0, retryAfter: nil)
        clock.advance(.seconds(31))
        #expect(ejection.order() == [0, 1])
        #expect(ejection.order() == [1, 0])
        ejection.succeeded(0)
        #expect(ejection.order() == [0, 1])
    }

    @Test func theProvidersOwnWishCountsWithinReason() {
        let ejection = ejection(2)
        ejection.failed(0, retryAfter: .seconds(60))
        clock.advance(.seconds(31))
        #expect(ejection.order() == [1, 0])
        clock.advance(.seconds(30))
        #expect(ejection.order() == [0, 1])
        ejection.failed(0, retryAfter: .seconds(86_400))
        clock.advance(ProviderEjection.longest + .seconds(1))
        #expect(ejection.order() == [0, 1])
    }

    @Test func whoKeepsItsPlaceKeepsIt() {
        let ejection = ejection(2, .zero)
        ejection.failed(0, retryAfter: .seconds(60))
        #expect(ejection.order() == [0, 1])
    }

    @Test func aDeadProviderIsNotAskedFirstEachTime() async throws {
        let working = try await FakeProvider([.text("from the second")])
        let dead = try await FakeProvider([
            .error(503, "down"), .error(503, "down"), .error(503, "down"), .text("back"),
        ])
        defer {
            dead.server.stop()
            working.server.stop()
        }
        let chain = ProviderChain(
            providers: [dead.model { $0.retries = 2 }, working.model { $0.name = "second" }],
            logger: Logger(label: "test"), now: clock.now)
        for _ in 1...5 { #expect(try await chain.answer("q", onDelta: nil) == "from the second") }
        #expect(dead.bodies.count == 3)
        clock.advance(.seconds(31))
        #expect(try await chain.answer("q", onDelta: nil) == "back")
        #expect(try await chain.answer("q", onDelta: nil) == "back")
        #expect(working.bodies.count == 5)
    }

    @Test func aProviderThatIsAloneIsAskedWhateverItDid() async throws {
        let fake = try await FakeProvider([.error(401, "bad key"), .text("ok")])
        defer { fake.server.stop() }
        let chain = ProviderChain(providers: [fake.model()], logger: Logger(label: "test"), now: clock.now)
        await #expect(throws: AssistantError("bad key")) { try await chain.answer("q", onDelta: nil) }
        #expect(try await chain.answer("q", onDelta: nil) == "ok")
    }

    @Test func whatWasWrongWithOneQuestionIsNotHeldAgainstTheProvider() async throws {
        let first = try await FakeProvider([.error(400, "too long"), .text("from the first")])
        let second = try await FakeProvider([.text("from the second")])
        defer {
            first.server.stop()
            second.server.stop()
        }
        let chain = ProviderChain(
            providers: [first.model(), second.model()], logger: Logger(label: "test"), now: clock.now)
        #expect(try await chain.answer("q", onDelta: nil) == "from the second")
        #expect(try await chain.answer("q", onDelta: nil) == "from the first")
    }
}
