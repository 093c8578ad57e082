import MCP
import NIOCore
import Testing

@testable import MCPClient

extension CallMachineTests {
    // MARK: Transport failures

    @Test func aRefusedConnectionIsTriedAgainWithDoublingPausesWithinTheWindow() throws {
        var machine = Self.sent()
        var now = Self.at(0)
        var pauses: [Int64] = []
        while true {
            switch machine.failed(Self.refused, now: now) {
            case .wait(let until):
                pauses.append((until - now).nanoseconds / 1_000_000)
                now = until
                #expect(isSend(machine.resumed(now: now), over: Self.legacy))
                continue
            case .finish(.failure(let failure), let abandoned):
                #expect(failure.kind == .unreachable)
                #expect(failure.executed == .no)
                #expect(failure.replays == pauses.count)
                #expect(abandoned == nil)
            default:
                Issue.record("unexpected action")
            }
            break
        }
        #expect(pauses.prefix(5) == [25, 50, 100, 200, 400])
        #expect(pauses.reduce(0, +) < 2000)
        #expect(pauses.reduce(0, +) > 1500)
    }

    @Test func aServerThatForgetsTwiceInARestartCostsNoRead() throws {
        // The old process had ended its sessions, gave a new one, and went away before the call reached it.
        var machine = Self.sent()
        #expect(discards(machine.answered(Self.status(404), now: Self.at(1))) === Self.legacy)
        #expect(isSend(machine.connected(Self.renewed, waited: true, now: Self.at(5)), over: Self.renewed))
        guard case .wait(let until) = machine.failed(Self.refused, now: Self.at(6)) else {
            Issue.record("not tried again")
            return
        }
        #expect(isSend(machine.resumed(now: until), over: Self.renewed))
        #expect(discards(machine.answered(Self.status(404), now: Self.at(200))) === Self.renewed)
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(205)), over: Self.legacy))
        _ = try success(machine.answered(Self.result(), now: Self.at(210)))
    }

    @Test func aReadWhoseSecondSessionDiesWithTheConnectionIsServedToo() throws {
        var machine = Self.sent(twice: true)
        _ = machine.answered(Self.status(404), now: Self.at(1))
        _ = machine.connected(Self.renewed, waited: true, now: Self.at(5))
        #expect(isSend(machine.failed(Self.broken, now: Self.at(6)), over: Self.renewed))
        #expect(discards(machine.answered(Self.status(404), now: Self.at(7))) === Self.renewed)
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(8)), over: Self.legacy))
        _ = try success(machine.answered(Self.result(), now: Self.at(9)))
    }

    @Test func theWindowNeverPassesTheDeadline() throws {
        var machine = Self.sent(timeout: .milliseconds(60))
        guard case .wait = machine.failed(Self.refused, now: Self.at(0)) else {
            Issue.record("no second try")
            return
        }
        _ = machine.resumed(now: Self.at(25))
        #expect(try failure(machine.failed(Self.refused, now: Self.at(25))).kind == .unreachable)
    }

    @Test func aConnectionClosedBeforeAnyByteWasSentIsTriedAgainForWritesToo() throws {
        var machine = Self.sent(twice: false)
        guard case .wait(let until) = machine.failed(Self.brokenUnsent, now: Self.at(0)) else {
            Issue.record("not tried again")
            return
        }
        #expect(isSend(machine.resumed(now: until), over: Self.legacy))
        _ = try success(machine.answered(Self.result(), now: Self.at(100)))
    }

    @Test func aWriteIsNeverSentTwiceOnceAByteOfItLeft() throws {
        for failure in [
            Self.broken, TransportError(kind: .garbled, sent: true, detail: ""),
            TransportError(kind: .refused, sent: true, detail: ""),
        ] {
            var machine = Self.sent(twice: false)
            let outcome = try self.failure(machine.failed(failure, now: Self.at(1)))
            #expect(outcome.executed == .unknown)
            #expect(outcome.replays == 0)
        }
    }

    @Test func aReadIsSentAgainAsOftenAsItsBoundAllowsAfterAnyTransportFailure() throws {
        for first in [Self.broken, TransportError(kind: .garbled, sent: true, detail: "")] {
            var machine = Self.sent(twice: true)
            for replay in 1...3 {
                #expect(isSend(machine.failed(first, now: Self.at(Int64(replay))), over: Self.legacy))
            }
            let outcome = try failure(machine.failed(Self.broken, now: Self.at(9)))
            #expect(outcome.kind == .unreachable)
            #expect(outcome.executed == .unknown)
            #expect(outcome.replays == 3)
            #expect(outcome.runs == 4)
            #expect(!outcome.mayGoElsewhere)
        }
    }

    @Test func aReadSurvivesTwoRestartsInARow() throws {
        var machine = Self.sent(twice: true)
        #expect(isSend(machine.failed(Self.broken, now: Self.at(10)), over: Self.legacy))
        guard case .wait(let until) = machine.failed(Self.refused, now: Self.at(11)) else {
            Issue.record("not waited")
            return
        }
        #expect(isSend(machine.resumed(now: until), over: Self.legacy))
        #expect(discards(machine.answered(Self.status(404), now: Self.at(60))) === Self.legacy)
        #expect(isSend(machine.connected(Self.renewed, waited: true, now: Self.at(65)), over: Self.renewed))
        // And again, on the new session.
        #expect(isSend(machine.failed(Self.broken, now: Self.at(70)), over: Self.renewed))
        #expect(discards(machine.answered(Self.status(404), now: Self.at(80))) === Self.renewed)
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(85)), over: Self.legacy))
        _ = try success(machine.answered(Self.result(), now: Self.at(90)))
    }

    @Test func aReadSurvivesARestart() throws {
        // In flight when the server dies; refused while it is down; its session unknown when it is back.
        var machine = Self.sent(twice: true)
        #expect(isSend(machine.failed(Self.broken, now: Self.at(5000)), over: Self.legacy))
        guard case .wait(let until) = machine.failed(Self.refused, now: Self.at(5001)) else {
            Issue.record("the window must begin with the first refusal, not with the call")
            return
        }
        #expect(isSend(machine.resumed(now: until), over: Self.legacy))
        #expect(discards(machine.answered(Self.status(404), now: Self.at(5100))) === Self.legacy)
        #expect(isSend(machine.connected(Self.renewed, waited: true, now: Self.at(5110)), over: Self.renewed))
        #expect(try success(machine.answered(Self.result(), now: Self.at(5120))).replays == 3)
    }

    @Test func whatMayHaveRunIsNotUndoneByALaterRefusal() throws {
        var machine = Self.sent(twice: true)
        _ = machine.failed(Self.broken, now: Self.at(1))
        let impossible = TransportError(kind: .impossible, sent: false, detail: "tls")
        #expect(try failure(machine.failed(impossible, now: Self.at(2))).executed == .unknown)
    }

    @Test func aRefusedHandshakeIsWaitedForWithinTheOwnWindow() throws {
        var machine = Self.machine()
        _ = machine.start(now: Self.start)
        let refusal = HandshakeError(
            failure: MCPCallError(kind: .unreachable, executed: .no, detail: "refused"), concernsCredentials: false,
            isRefusal: true, forgetsEra: false)
        guard case .wait(let until) = machine.connectionFailed(refusal, now: Self.at(1)),
            case .acquire(nil) = machine.resumed(now: until)
        else {
            Issue.record("not waited")
            return
        }
        let late = try failure(machine.connectionFailed(refusal, now: Self.at(2100)))
        #expect(late.kind == .unreachable)
        #expect(late.executed == .no)
        #expect(late.timings.session == .milliseconds(2100))
    }

    @Test func theHandshakesOwnRetriesCountTowardsTheWindow() throws {
        var machine = Self.machine()
        _ = machine.start(now: Self.start)
        let refusal = HandshakeError(
            failure: MCPCallError(kind: .unreachable, executed: .no, detail: "refused"), concernsCredentials: false,
            isRefusal: true, forgetsEra: false)
        // The handshake has tried for the whole window while this call waited: it does not begin another.
        #expect(try failure(machine.connectionFailed(refusal, now: Self.at(2000))).kind == .unreachable)
    }

    @Test func aConnectTimeoutBeforeTheDeadlineIsUnreachable() throws {
        var machine = Self.sent()
        let timeout = TransportError(kind: .timedOut, sent: false, detail: "timedOut")
        let failure = try failure(machine.failed(timeout, now: Self.at(2000)))
        #expect(failure.kind == .unreachable)
        #expect(failure.executed == .no)
    }

    // MARK: Deadlines and cancellation

    @Test func theDeadlineWhileACallIsOutIsATimeoutThatIsCancelledUpstream() throws {
        var machine = Self.sent()
        guard case .none = machine.expired(now: Self.at(9999)) else {
            Issue.record("too early")
            return
        }
        guard case .finish(.failure(let failure), let abandoned) = machine.expired(now: Self.at(10_000)) else {
            Issue.record("not expired")
            return
        }
        #expect(failure.kind == .timeout)
        #expect(failure.executed == .unknown)
        #expect(abandoned === Self.legacy)
    }

    @Test func theTransportsOwnTimeoutIsTheDeadlineToo() throws {
        var machine = Self.sent()
        let timeout = TransportError(kind: .timedOut, sent: true, detail: "timedOut")
        guard case .finish(.failure(let failure), let abandoned) = machine.failed(timeout, now: Self.at(9999)) else {
            Issue.record("not finished")
            return
        }
        #expect(failure.kind == .timeout)
        #expect(failure.executed == .unknown)
        #expect(abandoned === Self.legacy)
    }

    @Test func theDeadlineCoversTheWaitForASession() throws {
        var machine = Self.machine()
        _ = machine.start(now: Self.start)
        let failure = try failure(machine.expired(now: Self.at(10_000)))
        #expect(failure.kind == .timeout)
        #expect(failure.executed == .no)
        #expect(failure.timings.session == .seconds(10))
    }

    @Test func theDeadlineCoversThePauseBetweenTries() throws {
        var machine = Self.sent()
        _ = machine.failed(Self.refused, now: Self.at(9900))
        #expect(try failure(machine.expired(now: Self.at(10_000))).executed == .no)
    }

    @Test func aCallWhoseDeadlineIsPastIsNeverSent() throws {
        var machine = Self.machine()
        #expect(try failure(machine.start(now: Self.at(10_000))).kind == .timeout)
        var late = Self.machine()
        _ = late.start(now: Self.start)
        #expect(try failure(late.connected(Self.legacy, waited: true, now: Self.at(10_001))).executed == .no)
    }

    @Test func progressExtendsTheSilenceButNeverTheDeadline() throws {
        var machine = Self.sent(idle: .seconds(3))
        #expect(machine.expiry == Self.at(3000))
        machine.progressed(now: Self.at(2500))
        #expect(machine.expiry == Self.at(5500))
        guard case .none = machine.expired(now: Self.at(5000)) else {
            Issue.record("too early")
            return
        }
        machine.progressed(now: Self.at(9000))
        #expect(machine.expiry == Self.at(10_000))
        #expect(try failure(machine.expired(now: Self.at(10_000))).kind == .timeout)
    }

    @Test func theWaitForAConnectionIsSilenceToo() throws {
        var machine = Self.machine(timeout: .seconds(600), idle: .seconds(3))
        _ = machine.start(now: Self.start)
        #expect(machine.expiry == Self.at(3000))
        // What follows has its own time.
        _ = machine.connected(Self.legacy, waited: true, now: Self.at(2000))
        #expect(machine.expiry == Self.at(5000))

        var waiting = Self.machine(timeout: .seconds(600), idle: .seconds(3))
        _ = waiting.start(now: Self.start)
        let failure = try failure(waiting.expired(now: Self.at(3000)))
        #expect(failure.kind == .timeout)
        #expect(failure.executed == .no)
    }

    @Test func silenceIsATimeout() throws {
        var machine = Self.sent(idle: .seconds(3))
        #expect(try failure(machine.expired(now: Self.at(3000))).kind == .timeout)
    }

    @Test func cancellingTellsTheUpstreamOnlyWhenACallIsOut() throws {
        var out = Self.sent()
        guard case .finish(.failure(let failure), let abandoned) = out.cancelled(now: Self.at(1)) else {
            Issue.record("not finished")
            return
        }
        #expect(failure.kind == .cancelled)
        #expect(failure.executed == .unknown)
        #expect(abandoned === Self.legacy)

        var waiting = Self.machine()
        _ = waiting.start(now: Self.start)
        guard case .finish(.failure(let early), nil) = waiting.cancelled(now: Self.at(1)) else {
            Issue.record("not finished")
            return
        }
        #expect(early.executed == .no)
    }

    // MARK: Redirects

    @Test func aRedirectWithinTheOriginIsFollowedOnce() throws {
        var machine = Self.sent()
        var answer = Self.status(307)
        answer.location = "/other"
        guard case .follow(let moved) = machine.answered(answer, now: Self.at(1)) else {
            Issue.record("not followed")
            return
        }
        #expect(moved.url == "http://upstream/other")
        #expect(moved.sessionID == "one")
        let failure = try failure(machine.answered(answer, now: Self.at(2)))
        #expect(failure.kind == .invalid)
        #expect(failure.executed == .no)
    }

    @Test func aRedirectToAnotherOriginIsNotFollowed() throws {
        var machine = Self.sent()
        var answer = Self.status(308)
        answer.location = "http://elsewhere/mcp"
        #expect(try failure(machine.answered(answer, now: Self.at(1))).kind == .invalid)
    }
}
