import MCPServer
import Synchronization
import TestSupport
import Testing

@testable import MCPAggregator

/// What of an upstream's announcements is passed on.
@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness))) struct ChangeLimiterTests {
    /// Records what is passed on, and lets intervals end when a test says so.
    private final class Recorder: Sendable {
        let announced = Mutex<[ServerChange]>([])
        private let intervals = AsyncStream<Void>.makeStream()

        func limiter() -> ChangeLimiter {
            let intervals = intervals.stream
            return ChangeLimiter { for await _ in intervals { break } }
        }

        func endInterval() { intervals.continuation.yield() }
        func note(_ change: ServerChange) { announced.withLock { $0.append(change) } }
        var changes: [ServerChange] { announced.withLock { $0 } }

        /// Waits until that many were passed on.
        func wait(for count: Int) async {
            while changes.count < count { await Task.yield() }
        }
    }

    @Test func aChangeThatIsRepeatedIsPassedOnAtOnceAndOncePerInterval() async {
        let recorder = Recorder()
        let limiter = recorder.limiter()
        for _ in 0..<1000 { limiter.note(.tools) { recorder.note($0) } }
        #expect(recorder.changes == [.tools])
        recorder.endInterval()
        await recorder.wait(for: 2)
        for _ in 0..<1000 { limiter.note(.tools) { recorder.note($0) } }
        #expect(recorder.changes == [.tools, .tools])
        recorder.endInterval()
        await recorder.wait(for: 3)
        #expect(recorder.changes == [.tools, .tools, .tools])
    }

    @Test func differentChangesDoNotWaitForEachOther() {
        let recorder = Recorder()
        let limiter = recorder.limiter()
        let changes: [ServerChange] = [.tools, .prompts, .resource(uri: "a"), .resource(uri: "b")]
        for change in changes + changes { limiter.note(change) { recorder.note($0) } }
        #expect(recorder.changes == changes)
    }

    @Test func inventedResourcesAreBounded() async {
        let recorder = Recorder()
        let limiter = recorder.limiter()
        for number in 0..<10_000 { limiter.note(.resource(uri: "test://\(number)")) { recorder.note($0) } }
        #expect(recorder.changes.count == ChangeLimiter.limit)
        recorder.endInterval()
        // None came twice, so that the interval ends and the next change begins another one.
        while recorder.changes.count == ChangeLimiter.limit {
            limiter.note(.tools) { recorder.note($0) }
            await Task.yield()
        }
        #expect(recorder.changes.last == .tools)
    }
}
