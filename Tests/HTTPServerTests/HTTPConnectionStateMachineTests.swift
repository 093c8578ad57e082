import NIOCore
import Testing

@testable import HTTPServer

struct HTTPConnectionStateMachineTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func machine(draining: Bool = false, drainIdle: TimeAmount = .zero) -> HTTPConnectionStateMachine {
        HTTPConnectionStateMachine(
            timeouts: .init(
                header: .seconds(10), body: .init(pause: .seconds(30), total: .seconds(300), rate: 100),
                idle: .seconds(75), write: .seconds(60), writeRate: 100, linger: .seconds(5), drainIdle: drainIdle),
            isDraining: draining, now: start)
    }

    private func answering(hasBody: Bool = false, keepAlive: Bool = true) -> HTTPConnectionStateMachine {
        var machine = machine()
        #expect(machine.bytesArrived(now: start) == true)
        machine.headParsed(keepAlive: keepAlive, hasBody: hasBody)
        return machine
    }

    private func seconds(_ count: Int64) -> NIODeadline { start + .seconds(count) }

    @Test func anIdleConnectionClosesSilently() {
        var machine = machine()
        #expect(machine.readDeadline == seconds(75))
        #expect(machine.readDeadlinePassed() == .close)
        #expect(machine.phase == .closed)
    }

    @Test func theHeadersDeadlineRunsFromTheFirstByteOnly() {
        var machine = machine()
        #expect(machine.bytesArrived(now: seconds(1)) == true)
        #expect(machine.bytesArrived(now: seconds(9)) == true)
        #expect(machine.requestStart == seconds(1))
        #expect(machine.readDeadline == seconds(11))
        #expect(machine.readDeadlinePassed() == .reject(.requestTimeout))
        // Answered like a request, but nothing can follow.
        #expect(machine.responseStarted(asksToClose: false) == false)
        #expect(machine.responseEnded(now: seconds(11)) == .lingerAfterFlush)
    }

    @Test func aPersistentConnectionWaitsForTheNextRequest() {
        var machine = answering()
        #expect(machine.readDeadline == .distantFuture)
        #expect(machine.responseStarted(asksToClose: false) == true)
        #expect(machine.responseEnded(now: seconds(3)) == .next)
        #expect(machine.phase == .idle)
        #expect(machine.readDeadline == seconds(78))
        #expect(machine.bufferExhausted(now: seconds(3)) == .none)
        #expect(machine.bytesArrived(now: seconds(4)) == true)
        #expect(machine.requestStart == seconds(4))
    }

    @Test func aResponseMayAskToClose() {
        var machine = answering()
        #expect(machine.responseStarted(asksToClose: true) == false)
        #expect(machine.responseEnded(now: start) == .closeAfterFlush)
        #expect(machine.bytesArrived(now: start) == false)
    }

    @Test func anUnreadBodyCostsTheConnectionAndLingers() {
        var machine = answering(hasBody: true)
        #expect(machine.responseStarted(asksToClose: false) == false)
        #expect(machine.responseEnded(now: start) == .lingerAfterFlush)
        #expect(machine.phase == .closing)
        machine.lingering(now: seconds(1))
        #expect(machine.readDeadline == seconds(6))
        #expect(machine.readDeadlinePassed() == .close)
    }

    @Test func theBodyDeadlineMovesWithProgressOnly() {
        var machine = answering(hasBody: true)
        #expect(machine.readDeadline == .distantFuture)
        #expect(machine.bodyAwaited(now: seconds(1), received: 0) == .none)
        #expect(machine.readDeadline == seconds(31))
        #expect(machine.bodyAwaited(now: seconds(5), received: 0) == .none)
        #expect(machine.readDeadline == seconds(31))
        #expect(machine.bodyAwaited(now: seconds(5), received: 10_000) == .none)
        #expect(machine.readDeadline == seconds(35))
        machine.bodyPaused(now: seconds(6))
        #expect(machine.readDeadline == .distantFuture)
        _ = machine.bodyAwaited(now: seconds(50), received: 10_000)
        #expect(machine.readDeadline == seconds(80))
        #expect(machine.readDeadlinePassed() == .failBody(.requestTimeout))
        #expect(machine.responseStarted(asksToClose: false) == false)
    }

    @Test func aByteNowAndThenDoesNotKeepABodyOpen() {
        var machine = answering(hasBody: true)
        for second in stride(from: Int64(0), to: 30, by: 10) {
            _ = machine.bodyAwaited(now: seconds(second), received: Int(second / 10))
        }
        // The average counts after the grace of one pause.
        #expect(machine.readDeadline == seconds(30))
    }

    @Test func aBodyAtTheMinimumRateEndsAtItsTotal() {
        var machine = answering(hasBody: true)
        for second in stride(from: Int64(0), to: 300, by: 20) {
            _ = machine.bodyAwaited(now: seconds(second), received: Int(second) * 200)
            #expect(machine.readDeadline > seconds(second))
        }
        #expect(machine.readDeadline == seconds(300))
    }

    @Test func timeInWhichTheHandlerDoesNotWaitIsNotTheClients() {
        var machine = answering(hasBody: true)
        _ = machine.bodyAwaited(now: seconds(0), received: 0)
        machine.bodyPaused(now: seconds(10))
        _ = machine.bodyAwaited(now: seconds(1000), received: 0)
        #expect(machine.readDeadline == seconds(1020))
    }

    @Test func theLargestBodyDoesNotOverflowItsDeadline() {
        var machine = answering(hasBody: true)
        _ = machine.bodyAwaited(now: seconds(0), received: 0)
        _ = machine.bodyAwaited(now: seconds(280), received: .max)
        #expect(machine.readDeadline == seconds(300))
    }

    @Test func eachBodyHasAClockOfItsOwn() {
        var machine = answering(hasBody: true)
        _ = machine.bodyAwaited(now: seconds(0), received: 0)
        machine.bodyCompleted()
        _ = machine.responseStarted(asksToClose: false)
        _ = machine.responseEnded(now: seconds(20))
        _ = machine.bytesArrived(now: seconds(21))
        machine.headParsed(keepAlive: true, hasBody: true)
        _ = machine.bodyAwaited(now: seconds(21), received: 0)
        #expect(machine.readDeadline == seconds(51))
    }

    @Test func theEndOfInputWithinABodyIsADisconnect() {
        var machine = answering(hasBody: true)
        #expect(machine.inputClosed(now: start) == .readRest)
        #expect(machine.bodyAwaited(now: start, received: 1) == .disconnect)
    }

    @Test func theEndOfInputBehindARequestAsksWhetherAnybodyIsThere() {
        var machine = answering()
        #expect(machine.inputClosed(now: start) == .probe)
        #expect(machine.responseStarted(asksToClose: false) == true)
        // Pipelined requests may still be in the buffer; only then does it close.
        #expect(machine.responseEnded(now: start) == .next)
        #expect(machine.bufferExhausted(now: start) == .closeAfterFlush)
        #expect(machine.phase == .closing)
    }

    @Test func theEndOfInputBetweenRequestsCloses() {
        var idle = machine()
        #expect(idle.inputClosed(now: start) == .closeAfterFlush)
        var head = machine()
        #expect(head.bytesArrived(now: start) == true)
        #expect(head.inputClosed(now: start) == .closeAfterFlush)
    }

    @Test func drainClosesIdleConnectionsAndAnnouncesItOnTheOthers() {
        var served = answering()
        _ = served.responseStarted(asksToClose: false)
        _ = served.responseEnded(now: start)
        #expect(served.drain(now: seconds(1)) == .closeAfterFlush)

        var pending = answering()
        #expect(pending.drain(now: start) == .none)
        #expect(pending.responseStarted(asksToClose: false) == false)
        #expect(pending.responseEnded(now: start) == .closeAfterFlush)

        // The head went out without `close`: the connection closes as an idle one.
        var streaming = answering()
        #expect(streaming.responseStarted(asksToClose: false) == true)
        #expect(streaming.drain(now: start) == .none)
        #expect(streaming.responseEnded(now: start) == .next)
        #expect(streaming.bufferExhausted(now: start) == .closeAfterFlush)
    }

    @Test func drainGivesNewConnectionsAMomentToSpeak() {
        var fresh = machine()
        #expect(fresh.drain(now: start) == .none)
        #expect(fresh.readDeadline == start + .milliseconds(250))
        #expect(fresh.readDeadlinePassed() == .close)
        var silent = machine()
        #expect(silent.drain(now: seconds(1)) == .closeAfterFlush)
        var late = machine(draining: true)
        #expect(late.bytesArrived(now: start) == true)
        late.headParsed(keepAlive: true, hasBody: false)
        #expect(late.responseStarted(asksToClose: false) == false)
    }

    @Test func drainMayLeaveIdleConnectionsAGrace() {
        var machine = machine(drainIdle: .seconds(1))
        _ = machine.bytesArrived(now: start)
        machine.headParsed(keepAlive: true, hasBody: false)
        _ = machine.responseStarted(asksToClose: false)
        _ = machine.responseEnded(now: start)
        #expect(machine.drain(now: start) == .none)
        #expect(machine.readDeadline == seconds(1))
        #expect(machine.bufferExhausted(now: start) == .none)
    }

    @Test func aStalledReaderIsCutOffUnlessItKeepsTheMinimumRate() {
        var machine = answering()
        _ = machine.responseStarted(asksToClose: false)
        machine.writabilityChanged(isWritable: false, now: start)
        #expect(machine.writeDeadline == seconds(60))
        #expect(machine.writeDeadlinePassed(now: seconds(60), taken: 6000) == .none)
        #expect(machine.writeDeadline == seconds(120))
        #expect(machine.writeDeadlinePassed(now: seconds(120), taken: 5999) == .disconnect)
        machine.writabilityChanged(isWritable: true, now: seconds(121))
        #expect(machine.writeDeadline == .distantFuture)
    }

    @Test func theLastResponseIsFlushedWithinTheWriteTimeout() {
        var machine = answering(keepAlive: false)
        _ = machine.responseStarted(asksToClose: false)
        #expect(machine.responseEnded(now: start) == .closeAfterFlush)
        #expect(machine.writeDeadline == seconds(60))
        // Becoming writable is not being flushed.
        machine.writabilityChanged(isWritable: true, now: seconds(1))
        #expect(machine.writeDeadline == seconds(60))
        #expect(machine.writeDeadlinePassed(now: seconds(60), taken: 0) == .close)
    }
}
