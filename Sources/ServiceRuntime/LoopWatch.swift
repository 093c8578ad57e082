package import NIOCore
package import Observability
import Synchronization

/// Monitor of event loops: each executes a small task twice a second. The delay of the task is the loop's lag; a loop
/// that has not executed it for long is blocked.
package final class LoopWatch: Sendable {
    /// A loop, with the time of its last task.
    private final class Heart: Sendable {
        let eventLoop: any EventLoop
        let lastBeat: Atomic<UInt64>

        init(_ eventLoop: any EventLoop) {
            self.eventLoop = eventLoop
            lastBeat = Atomic(NIODeadline.now().uptimeNanoseconds)
        }
    }

    private let hearts: [Heart]
    private let lag: Histogram
    private let interval: TimeAmount
    private let isStopped = Atomic<Bool>(false)

    /// - Parameters:
    ///   - lag: Histogram of the tasks' delays.
    ///   - interval: Time between two tasks of a loop.
    package init(group: any EventLoopGroup, lag: Histogram, interval: TimeAmount = .milliseconds(500)) {
        hearts = group.makeIterator().map { Heart($0) }
        self.lag = lag
        self.interval = interval
    }

    /// Starts monitoring.
    package func start() {
        for heart in hearts { schedule(heart) }
    }

    /// Stops monitoring; every loop executes at most one more task.
    package func stop() {
        isStopped.store(true, ordering: .relaxed)
    }

    /// Returns whether every loop has run within `limit` before `now`. A limit below two intervals counts as two.
    package func isAnswering(within limit: TimeAmount, now: NIODeadline = .now()) -> Bool {
        let limit = max(limit, interval * 2)
        return hearts.allSatisfy { heart in
            now - .uptimeNanoseconds(heart.lastBeat.load(ordering: .relaxed)) <= limit
        }
    }

    private func schedule(_ heart: Heart) {
        let due = NIODeadline.now() + interval
        heart.eventLoop.scheduleTask(deadline: due) { [weak self] in
            guard let self, !isStopped.load(ordering: .relaxed) else { return }
            let now = NIODeadline.now()
            heart.lastBeat.store(now.uptimeNanoseconds, ordering: .relaxed)
            lag.observe(nanoseconds: (now - due).nanoseconds)
            schedule(heart)
        }
    }
}
