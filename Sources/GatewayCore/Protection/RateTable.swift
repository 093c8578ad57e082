import NIOCore
import Synchronization

/// Who has used how much of a rate, for a bounded number of callers: the generic cell rate algorithm, of which a caller
/// costs two words.
///
/// One table serves all workers, so a limit is exact whatever worker a request reaches: a key belongs to one of 64
/// parts, each with a lock of its own that is held for a handful of comparisons.
///
/// Keys are hashed with the process's random seed into groups of eight. A full group gives up the entry that owes
/// least; an entry that owes nothing any more is no loss. While all eight owe, a newcomer takes the place of the one
/// that owes least *and its debt*. So a caller at its limit is the last to be forgotten, filling the table with other
/// keys never gives a fresh allowance, and the table as a whole lets through no more than its size allows.
final class RateTable: Sendable {
    /// So many calls in so much time, and how many of them may come at once.
    struct Policy: Hashable, Sendable {
        /// Nanoseconds that one call costs.
        let interval: UInt64
        /// Nanoseconds that a caller may be ahead.
        let tolerance: UInt64

        /// - Parameters:
        ///   - requests: At least 1.
        ///   - burst: At least 1.
        init(requests: Int, per period: Duration, burst: Int) {
            interval = max(1, UInt64(max(0, period.nanoseconds)) / UInt64(max(1, requests)))
            let (product, overflow) = interval.multipliedReportingOverflow(by: UInt64(max(1, burst) - 1))
            // Centuries: far from the end of the range, so that sums with the clock stay within it.
            tolerance = overflow ? .max / 4 : min(product, .max / 4)
        }
    }

    enum Verdict: Hashable {
        case allowed
        /// Over the limit; a request would be allowed after so many nanoseconds.
        case refused(retryAfter: UInt64)
    }

    private struct Slot {
        var key: UInt64 = 0
        /// When the caller owes nothing any more, in nanoseconds of the machine's uptime; 0: the slot is free.
        var due: UInt64 = 0
    }

    private final class Part: Sendable {
        let slots: Mutex<[Slot]>

        init(slots: Int) { self.slots = Mutex(Array(repeating: Slot(), count: slots)) }
    }

    private static let partCount = 64
    private static let groupSize = 8

    private let policy: Policy
    private let parts: [Part]
    private let groups: Int
    private let replaced = Atomic<Int>(0)

    /// - Parameter entries: Callers remembered at least; 16 bytes each.
    init(_ policy: Policy, entries: Int) {
        self.policy = policy
        let perPart = Self.partCount * Self.groupSize
        groups = max(1, (entries + perPart - 1) / perPart)
        let slots = groups * Self.groupSize
        parts = (0..<Self.partCount).map { _ in Part(slots: slots) }
    }

    /// How often a caller that still owed something had to give way: more than a few mean that the table is too small.
    var replacements: Int { replaced.load(ordering: .relaxed) }

    /// Counts calls of `key`, all of them or none. Calls that are refused cost nothing.
    ///
    /// - Parameter count: The number of calls, at least 1. More than the burst are refused always.
    func take(_ key: some Hashable, count: Int = 1, now: NIODeadline) -> Verdict {
        var hasher = Hasher()
        hasher.combine(key)
        return take(hash: UInt64(bitPattern: Int64(hasher.finalize())), count: count, now: now.uptimeNanoseconds)
    }

    private func take(hash: UInt64, count: Int, now: UInt64) -> Verdict {
        // The time that all calls but the first take; beyond the tolerance the exact number is of no interest.
        let (product, overflow) = policy.interval.multipliedReportingOverflow(by: UInt64(max(count, 1) - 1))
        let further = overflow ? .max / 4 : min(product, .max / 4)
        let part = parts[Int(hash % UInt64(Self.partCount))]
        let first = Int(hash / UInt64(Self.partCount) % UInt64(groups)) * Self.groupSize
        return part.slots.withLock { slots in
            var place = first
            var isKnown = false
            for index in first..<(first + Self.groupSize) {
                if slots[index].due != 0, slots[index].key == hash {
                    place = index
                    isKnown = true
                    break
                }
                if slots[index].due < slots[place].due { place = index }
            }
            let due = max(slots[place].due, now)
            guard due - now + further <= policy.tolerance else {
                return .refused(retryAfter: due - now + further - policy.tolerance)
            }
            if !isKnown {
                if slots[place].due > now { replaced.wrappingAdd(1, ordering: .relaxed) }
                slots[place].key = hash
            }
            slots[place].due = due + further + policy.interval
            return .allowed
        }
    }
}
