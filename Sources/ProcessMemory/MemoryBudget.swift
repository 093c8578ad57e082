import Synchronization

/// Memory that one process may use for what its peers send or leave unread: request bodies, held answers, buffers of
/// streams, lists of tools, stored events and pages of rows. Memory is drawn from it before one of them grows.
///
/// The first ``allowance`` bytes of each are free, so that ordinary requests neither count nor cost anything. Bytes are
/// counted as they were received: a buffer that grows, and values parsed from it, occupy more, which is why the standard
/// limit is a small share of the memory that there is.
package final class MemoryBudget: Sendable {
    /// Number of bytes that each body, answer, buffer or list may have without drawing from the budget.
    package static let allowance = 64 << 10
    /// Unit, in bytes, in which a growing body draws, so that not every piece touches the shared counter.
    static let step = 64 << 10
    /// Budget without a limit, for tests and commands.
    package static let unlimited = MemoryBudget(limit: .max)

    /// State of a budget; each number is exact, together they may not be.
    package struct Statistics: Hashable, Sendable {
        /// Largest number of bytes that may be drawn.
        package let limit: Int
        /// Number of bytes drawn now. It may exceed the limit by what could not be refused any more.
        package let used: Int
        /// Largest number of bytes that were drawn at a time.
        package let peak: Int
        /// Number of times that nothing could be drawn.
        package let refusals: Int
    }

    /// Largest number of bytes that may be drawn.
    package let limit: Int
    private let used = Atomic<Int>(0)
    private let peak = Atomic<Int>(0)
    private let refusals = Atomic<Int>(0)

    /// Creates a budget of which nothing is used.
    package init(limit: Int) {
        self.limit = limit
    }

    /// State of the budget, for metrics.
    package var statistics: Statistics {
        Statistics(
            limit: limit, used: used.load(ordering: .relaxed), peak: peak.load(ordering: .relaxed),
            refusals: refusals.load(ordering: .relaxed))
    }

    /// Returns whether a body of that size could be held now. Draws nothing: a peer that announces much and sends little
    /// takes nothing from others. A refusal counts as one.
    package func hasRoom(for bytes: Int) -> Bool {
        guard bytes > Self.allowance, bytes > limit - min(limit, used.load(ordering: .relaxed)) else { return true }
        refusals.wrappingAdd(1, ordering: .relaxed)
        return false
    }

    /// Draws bytes, which must be returned by ``release(_:)``. False, and nothing drawn, beyond the limit.
    package func draw(_ bytes: Int) -> Bool {
        var current = used.load(ordering: .relaxed)
        while bytes <= limit - min(limit, current) {
            let (exchanged, original) = used.weakCompareExchange(
                expected: current, desired: current + bytes, ordering: .relaxed)
            if exchanged {
                note(current + bytes)
                return true
            }
            current = original
        }
        refusals.wrappingAdd(1, ordering: .relaxed)
        return false
    }

    /// Draws bytes that are held already, so that refusing them would free nothing; other bodies are refused instead.
    package func charge(_ bytes: Int) {
        note(used.wrappingAdd(bytes, ordering: .relaxed).newValue)
    }

    /// Returns bytes that were drawn.
    package func release(_ bytes: Int) {
        if bytes != 0 { used.wrappingSubtract(bytes, ordering: .relaxed) }
    }

    private func note(_ bytes: Int) {
        if bytes > peak.load(ordering: .relaxed) { peak.max(bytes, ordering: .relaxed) }
    }
}
