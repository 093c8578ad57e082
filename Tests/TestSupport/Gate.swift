import Synchronization

/// Opens once; whoever waits goes on then, or when its task is cancelled.
package final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: [AsyncStream<Void>.Continuation])>((false, []))

    /// Creates a closed gate.
    package init() {}

    /// Lets all go on, now and from now on.
    package func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            return state.waiting
        }
        for continuation in waiting { continuation.finish() }
    }

    /// Waits until the gate is open.
    /// - Throws: `CancellationError`.
    package func wait() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let isOpen = state.withLock { state in
            state.waiting.append(continuation)
            return state.isOpen
        }
        if isOpen { continuation.finish() }
        for await _ in stream {}
        try Task.checkCancellation()
    }
}
