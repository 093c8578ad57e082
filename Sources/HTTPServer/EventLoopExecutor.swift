package import NIOCore

/// Executor that runs tasks on an event loop, so that a request which is served by a task never changes threads.
///
/// What it runs must not block. Every await on another actor or executor still leaves the loop.
package final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    /// Makes the executor of an event loop.
    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs a job of a task in a later turn of the loop.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
