import Synchronization

/// Limit on simultaneous calls; further ones wait in order of arrival.
///
/// The uncontended path is one lock, taken twice, and no suspension.
package final class CallLimiter: Sendable {
    private struct Waiter {
        let ticket: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var running = 0
        var nextTicket: UInt64 = 0
        var waiters: [Waiter] = []
        /// Index of the first waiter still waiting; the used prefix before it is removed in bulk.
        var head = 0
        /// Tickets cancelled before their waiter was stored.
        var cancelledEarly: Set<UInt64> = []
    }

    private let limit: Int
    private let queueLimit: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: Largest number of simultaneous calls; 0: no limit.
    ///   - queueLimit: Largest number of waiting calls; further ones are refused at once.
    package init(limit: Int, queueLimit: Int) {
        self.limit = limit
        self.queueLimit = queueLimit
    }

    /// Reason why a call got no place.
    package enum AdmissionError: Error { case overloaded, cancelled }

    /// Takes a place, waiting for one if necessary. Every success must be paired with one ``leave()``.
    /// - Throws: ``AdmissionError``.
    package func enter() async throws(AdmissionError) {
        if limit == 0 { return }
        let ticket: UInt64? = try state.withLock { state throws(AdmissionError) in
            if state.running < limit {
                state.running += 1
                return nil
            }
            guard state.waiters.count - state.head < queueLimit else { throw .overloaded }
            state.nextTicket += 1
            return state.nextTicket
        }
        guard let ticket else { return }
        let admitted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // A place may have become free, or the task have been cancelled, since the ticket was drawn: both are
                // checked under the lock under which the waiter is stored, so that no wake-up can be lost.
                let outcome: Bool? = state.withLock { state in
                    if state.cancelledEarly.remove(ticket) != nil { return false }
                    if state.running < limit {
                        state.running += 1
                        return true
                    }
                    state.waiters.append(Waiter(ticket: ticket, continuation: continuation))
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            let waiter: Waiter? = state.withLock { state in
                guard let index = state.waiters[state.head...].firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelledEarly.insert(ticket)
                    return nil
                }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: false)
        }
        // The cancellation handler may have run after the waiter was admitted, and left its mark.
        state.withLock { _ = $0.cancelledEarly.remove(ticket) }
        guard admitted else { throw .cancelled }
    }

    /// Gives a place back, or to the call that has waited longest.
    package func leave() {
        if limit == 0 { return }
        let next: Waiter? = state.withLock { state in
            guard state.head < state.waiters.count else {
                state.running -= 1
                return nil
            }
            let waiter = state.waiters[state.head]
            state.head += 1
            if state.head >= 64, state.head * 2 >= state.waiters.count {
                state.waiters.removeFirst(state.head)
                state.head = 0
            }
            return waiter
        }
        next?.continuation.resume(returning: true)
    }

    /// Number of calls that hold a place.
    package var running: Int { state.withLock { $0.running } }
}
