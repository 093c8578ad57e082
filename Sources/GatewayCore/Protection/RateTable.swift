import NIOCore
import Synchronization

/// Table of the callers' use of a rate, for a bounded number of callers: the generic cell rate algorithm (GCRA), which
/// needs two words for each caller.
///
/// One table serves all workers, so that a limit is exact whichever worker a request reaches: a key belongs to one of
/// 64 parts, each with a lock of its own that is held for a handful of comparisons.
///
/// Keys are hashed with the process's random seed into groups of eight. A full group evicts the entry with the least
/// debt; an entry without debt can be dropped without loss. While all eight have debt, a new caller takes the place of
/// the one with the least debt *and inherits that debt*. So a caller at its limit is the last to be evicted, filling
/// the table with other keys never gives a fresh allowance, and the table as a whole lets through no more than its size
/// allows.
final class RateTable: Sendable {
    /// A rate: a number of calls in a period, and how many of them may come at once.
    struct Policy: Hashable, Sendable {
        /// Time that one call costs, in nanoseconds.
        let interval: UInt64
        /// Time by which a caller may be ahead of its rate, in nanoseconds.
        let tolerance: UInt64

        /// - Parameters:
        ///   - requests: At least 1.
        ///   - burst: At least 1.
        init(requests: Int, per period: Duration, burst: Int) {
            interval = max(1, UInt64(max(0, period.nanoseconds)) / UInt64(max(1, requests)))
            let (product, overflow) = interval.multipliedReportingOverflow(by: UInt64(max(1, burst) - 1))
            // Centuries: far from the end of the range, so that sums with the clock cannot overflow.
            tolerance = overflow ? .max / 4 : min(product, .max / 4)
        }
    }

    enum Decision: Hashable {
        case allowed
        /// Over the limit; the caller's next call is allowed after this many nanoseconds.
        case refused(retryAfter: UInt64)
    }

    private struct Slot {
        var key: UInt64 = 0
        /// Time at which the caller's debt is paid, in nanoseconds of the machine's uptime; 0: the slot is free.
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

    /// - Parameter entries: Smallest number of callers that are remembered; 16 bytes each.
    init(_ policy: Policy, entries: Int) {
        self.policy = policy
        let perPart = Self.partCount * Self.groupSize
        groups = max(1, (entries + perPart - 1) / perPart)
        let slots = groups * Self.groupSize
        parts = (0..<Self.partCount).map { _ in Part(slots: slots) }
    }

    /// Number of callers that were evicted before their debt was paid: more than a few mean that the table is too
    /// small.
    var replacements: Int { replaced.load(ordering: .relaxed) }

    /// Counts calls of `key`, all of them or none. Refused calls cost nothing.
    ///
    /// - Parameter count: Number of calls, at least 1. More than the burst are always refused.
    func take(_ key: some Hashable, count: Int = 1, now: NIODeadline) -> Decision {
        var hasher = Hasher()
        hasher.combine(key)
        return take(hash: UInt64(bitPattern: Int64(hasher.finalize())), count: count, now: now.uptimeNanoseconds)
    }

    private func take(hash: UInt64, count: Int, now: UInt64) -> Decision {
        // Time that all calls but the first cost; beyond the tolerance the exact number does not matter.
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
