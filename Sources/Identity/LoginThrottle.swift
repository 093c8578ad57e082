import Crypto
package import Foundation
import Synchronization

/// Limit on guessing passwords: an attempt beyond the first few must wait, and every further one twice as long.
///
/// Attempts are counted three ways: of one address at one account, of one address at all accounts, and of one account
/// from all addresses. The last one does not apply to an address from which the account has logged in before, and no
/// delay exceeds a maximum, so that guessing at an account delays its owner for a while at worst and never locks the
/// owner out. An address that keeps trying while an account must wait is delayed by its own count.
///
/// An attempt counts as failed from its start, so that many at the same time gain nothing; success takes it back. The
/// counts are those of one process: with several replicas each counts its own.
package final class LoginThrottle: Sendable {
    /// Numbers of the throttle.
    package struct Policy: Hashable, Sendable {
        /// Number of attempts of one address at one account before the first delay; four times as many of an address at
        /// all accounts, and of all addresses at an account. 0: attempts are not limited.
        package var attempts: Int
        /// The first delay.
        package var firstDelay: Duration
        /// The longest delay. After twice this time without an attempt a count starts again.
        package var maximumDelay: Duration

        /// Creates a policy.
        package init(attempts: Int = 5, firstDelay: Duration = .seconds(1), maximumDelay: Duration = .seconds(300)) {
            self.attempts = attempts
            self.firstDelay = firstDelay
            self.maximumDelay = maximumDelay
        }
    }

    /// An allowed attempt, to be reported when it succeeds or was not carried out.
    package struct Attempt: Sendable {
        fileprivate let counted: [Key]
        fileprivate let pair: Key?
    }

    /// Decision on an attempt.
    package enum Decision: Sendable {
        case allowed(Attempt)
        /// The attempt was not counted; the next one is allowed after that time.
        case wait(Duration)
    }

    /// Digest of an account, an address or both: names of any length cost the same.
    fileprivate struct Key: Hashable {
        let digest: [UInt8]
        /// True if several people may share it.
        let isShared: Bool

        init(account: String?, address: String?) {
            var hash = SHA256()
            for part in [account, address] {
                let bytes = part.map { Array($0.utf8) }
                withUnsafeBytes(of: Int64(bytes?.count ?? -1)) { hash.update(bufferPointer: $0) }
                hash.update(data: bytes ?? [])
            }
            digest = Array(hash.finalize().prefix(16))
            isShared = account == nil || address == nil
        }
    }

    private struct Count {
        var attempts = 0
        /// Time before which attempts must wait.
        var next = Date.distantPast
        var last = Date.distantPast
    }

    private struct State {
        var counts: [Key: Count] = [:]
        /// Pairs of account and address that have logged in, with the time.
        var known: [Key: Date] = [:]
    }

    /// Number of free attempts of an address, or at an account, as a multiple of those of one address at one account.
    private static let sharedFactor = 4
    /// Time for which an address counts as one from which the account logs in, in seconds.
    private static let acquaintance: TimeInterval = 30 * 86_400

    private let policy: Policy
    private let limit: Int
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: Largest number of counts, and of pairs that have logged in; the oldest are removed.
    ///   - now: Clock of the delays.
    package init(
        policy: Policy = Policy(), limit: Int = 50_000, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.policy = policy
        self.limit = max(16, limit)
        self.now = now
    }

    /// Counts an attempt, or returns how long it must wait.
    /// - Parameter address: The client's address; nil where it is not known: then only the account is limited.
    package func begin(account: String, address: String?) -> Decision {
        guard policy.attempts > 0 else { return .allowed(Attempt(counted: [], pair: nil)) }
        let now = now()
        let pair = address.map { Key(account: account, address: $0) }
        let caller = address.map { Key(account: nil, address: $0) }
        let target = Key(account: account, address: nil)
        return state.withLock { state in
            let lastLogin = pair.flatMap { state.known[$0] } ?? .distantPast
            let isKnown = now.timeIntervalSince(lastLogin) < Self.acquaintance
            let keys = [pair, caller, isKnown ? nil : target].compactMap(\.self)
            let wait = keys.map { state.counts[$0]?.next.timeIntervalSince(now) ?? 0 }.max() ?? 0
            if wait > 0 {
                let isAccountBlocked = keys.contains(target) && (state.counts[target]?.next ?? now) > now
                if isAccountBlocked, let caller { count(caller, now, &state) }
                return .wait(.seconds(wait))
            }
            for key in keys { count(key, now, &state) }
            makeRoom(now, &state)
            return .allowed(Attempt(counted: keys, pair: pair))
        }
    }

    /// Removes a successful attempt from the counts; from now on the address is one of the account's.
    package func succeeded(_ attempt: Attempt) {
        let now = now()
        state.withLock { state in
            takeBack(attempt, &state)
            guard let pair = attempt.pair else { return }
            state.counts[pair] = nil
            state.known[pair] = now
            if state.known.count > limit {
                let oldest = state.known.sorted { $0.value < $1.value }.prefix(limit / 4)
                for (key, _) in oldest { state.known[key] = nil }
            }
        }
    }

    /// Removes an attempt whose password was not checked from the counts.
    package func withdrawn(_ attempt: Attempt) { state.withLock { takeBack(attempt, &$0) } }

    /// Number of counts and pairs that are kept.
    var size: Int { state.withLock { $0.counts.count + $0.known.count } }

    private func takeBack(_ attempt: Attempt, _ state: inout State) {
        for key in attempt.counted {
            guard var count = state.counts[key] else { continue }
            count.attempts = max(0, count.attempts - 1)
            // The delay that this attempt caused is removed with it.
            count.next = .distantPast
            state.counts[key] = count.attempts == 0 ? nil : count
        }
    }

    private func count(_ key: Key, _ now: Date, _ state: inout State) {
        var count = state.counts[key] ?? Count()
        if isForgotten(count, now) { count = Count() }
        count.attempts = min(count.attempts + 1, 1_000_000)
        count.last = now
        let free = policy.attempts * (key.isShared ? Self.sharedFactor : 1)
        if count.attempts >= free {
            // Counted from the last free attempt; the exponent is limited long before the power is.
            let factor = pow(2, Double(min(count.attempts - free, 60)))
            let delay = min(policy.firstDelay / .seconds(1) * factor, policy.maximumDelay / .seconds(1))
            count.next = now.addingTimeInterval(delay)
        }
        state.counts[key] = count
    }

    private func isForgotten(_ count: Count, _ now: Date) -> Bool {
        now.timeIntervalSince(count.last) > 2 * (policy.maximumDelay / .seconds(1))
    }

    private func makeRoom(_ now: Date, _ state: inout State) {
        guard state.counts.count > limit else { return }
        state.counts = state.counts.filter { !isForgotten($0.value, now) }
        guard state.counts.count > limit else { return }
        for (key, _) in state.counts.sorted(by: { $0.value.last < $1.value.last }).prefix(limit / 4) {
            state.counts[key] = nil
        }
    }
}
