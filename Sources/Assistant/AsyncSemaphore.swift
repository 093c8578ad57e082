import Synchronization

/// Semaphore for asynchronous work: a limited number at a time; others wait in order of arrival.
final class AsyncSemaphore: Sendable {
    /// Error of a wait whose deadline passed before a place was free.
    struct TimedOut: Error {}

    private struct State {
        var free: Int
        var nextID: UInt64 = 0
        var waiting: [(id: UInt64, continuation: CheckedContinuation<Void, any Error>)] = []
    }

    private let state: Mutex<State>

    /// Creates a semaphore with that many places.
    init(limit: Int) { state = Mutex(State(free: limit)) }

    /// Takes a place; ``release()`` gives it back.
    /// - Throws: ``TimedOut`` at the deadline, `CancellationError`.
    func acquire(until deadline: ContinuousClock.Instant) async throws {
        try Task.checkCancellation()
        let id: UInt64? = state.withLock { state in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        guard let id else { return }
        let alarm = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            self.giveUp(id, TimedOut())
        }
        defer { alarm.cancel() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    // The cancellation handler below may have run already, and found nothing to cancel.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if ContinuousClock.now >= deadline { return .failure(TimedOut()) }
                    if state.free > 0 {
                        state.free -= 1
                        return .success(())
                    }
                    state.waiting.append((id, continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            giveUp(id, CancellationError())
        }
    }

    /// Gives a place to the task that has waited longest, or back.
    func release() {
        let next = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume()
    }

    private func giveUp(_ id: UInt64, _ error: any Error) {
        let continuation = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiting.remove(at: index).continuation
        }
        continuation?.resume(throwing: error)
    }
}
