import Synchronization

/// Ejection of providers that failed: for a while they come last.
///
/// ```
/// ready ─failed─▶ ejected ─the time is over: one call tries─▶ ejected ─succeeded─▶ ready
/// ```
final class ProviderEjection: Sendable {
    /// Longest ejection: a longer wait that a provider demands may be a mistake.
    static let longest = Duration.seconds(300)

    private let coolDown: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    /// End of each provider's ejection; nil: it is not ejected.
    private let ends: Mutex<[ContinuousClock.Instant?]>

    /// Creates the state of a number of providers, none of them ejected.
    init(count: Int, coolDown: Duration, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.coolDown = coolDown
        self.now = now
        ends = Mutex(Array(repeating: nil, count: count))
    }

    /// Returns all providers, ejected ones last: a provider that failed is better than none.
    func order() -> [Int] {
        let now = now()
        return ends.withLock { ends in
            var ready: [Int] = []
            var ejected: [Int] = []
            for index in ends.indices {
                if let end = ends[index], end > now {
                    ejected.append(index)
                } else {
                    // The first call after the end tries the provider; others do not wait for its result.
                    if ends[index] != nil { ends[index] = now + coolDown }
                    ready.append(index)
                }
            }
            return ready + ejected
        }
    }

    /// Ends an ejection.
    func succeeded(_ index: Int) { ends.withLock { $0[index] = nil } }

    /// Ejects a provider.
    /// - Parameter retryAfter: Time after which the provider asks to be contacted again, if it said so.
    func failed(_ index: Int, retryAfter: Duration?) {
        guard coolDown > .zero else { return }
        let time = max(coolDown, min(retryAfter ?? .zero, Self.longest))
        ends.withLock { $0[index] = now() + time }
    }
}
