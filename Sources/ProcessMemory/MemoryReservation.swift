import Synchronization

/// Part of a ``MemoryBudget`` that one body, answer, buffer or list has drawn. It goes back when the last reference to
/// the reservation is gone, however what it was drawn for ended.
package final class MemoryReservation: Sendable {
    private let budget: MemoryBudget
    /// Number of bytes drawn. Written by one holder at a time.
    private let drawn = Atomic<Int>(0)

    fileprivate init(_ budget: MemoryBudget) {
        self.budget = budget
    }

    deinit { budget.release(drawn.load(ordering: .relaxed)) }

    /// Number of bytes drawn.
    package var bytes: Int { drawn.load(ordering: .relaxed) }

    fileprivate func grow(to bytes: Int) -> Bool {
        let more = bytes - self.bytes
        guard more > 0 else { return true }
        guard budget.draw(more) else { return false }
        drawn.store(bytes, ordering: .relaxed)
        return true
    }

    fileprivate func set(to bytes: Int) {
        let more = bytes - self.bytes
        if more > 0 { budget.charge(more) } else { budget.release(-more) }
        drawn.store(bytes, ordering: .relaxed)
    }
}

extension MemoryBudget {
    /// Draws what a body needs that has grown to that size. False, and nothing more drawn, when the budget has no room
    /// for it.
    ///
    /// - Parameters:
    ///   - bytes: Size of the body so far.
    ///   - reservation: Holds what was drawn; nil until the body exceeds ``allowance``.
    package func hold(_ bytes: Int, in reservation: inout MemoryReservation?) -> Bool {
        guard bytes > Self.allowance else { return true }
        if let reservation { return reservation.grow(to: Self.rounded(bytes)) }
        let made = MemoryReservation(self)
        guard made.grow(to: Self.rounded(bytes)) else { return false }
        reservation = made
        return true
    }

    /// Counts that many bytes, which are held already and may exceed the limit, in place of those that the reservation
    /// held before.
    package func charge(_ bytes: Int, in reservation: inout MemoryReservation?) {
        guard bytes > Self.allowance else {
            reservation = nil
            return
        }
        let holder = reservation ?? MemoryReservation(self)
        holder.set(to: Self.rounded(bytes))
        reservation = holder
    }

    private static func rounded(_ bytes: Int) -> Int {
        bytes > .max - step ? bytes : (bytes + step - 1) / step * step
    }
}
