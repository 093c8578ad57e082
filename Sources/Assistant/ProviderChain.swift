import Logging
import Synchronization

/// Several providers in order: the next one is asked when one gives nothing at all.
///
/// One that could not answer is asked after the others for a while, so that not everybody finds out anew, in its own
/// time, that it is down.
struct ProviderChain: LanguageModel {
    let providers: [ChatCompletionsProvider]
    let logger: Logger
    private let rests: ProviderRests

    /// - Parameters:
    ///   - coolDown: how long a provider that could not answer comes last; zero: never.
    init(
        providers: [ChatCompletionsProvider], coolDown: Duration = .seconds(30), logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.providers = providers
        self.logger = logger
        rests = ProviderRests(count: providers.count, coolDown: coolDown, now: now)
    }

    func reply(to request: ModelRequest, onDelta: AnswerDelta?) async throws -> ModelReply {
        let delivery = Delivery(onDelta)
        var failed: ProviderFailure?
        let order = rests.order()
        for (place, index) in order.enumerated() {
            let isLast = place == order.count - 1
            let provider = providers[index]
            do {
                // Where there is another provider, nobody waits long for this one.
                let reply = try await provider.reply(
                    to: request, patience: isLast ? .seconds(60) : .seconds(1), delivery: delivery)
                rests.answered(index)
                return reply
            } catch let failure as ProviderFailure {
                failed = failure
                // Who had hardly any time left cannot tell.
                let isLate = request.isLate()
                if failure.isProvidersFault, !(isLate && failure.reason == .timeout) {
                    rests.failed(index, retryAfter: failure.retryAfter)
                } else if !failure.saysNothing {
                    rests.answered(index)
                }
                guard failure.mayFailOver, !delivery.hasBegun, !isLast, !isLate else { break }
                noteFailover(from: index, to: order[place + 1])
            }
        }
        throw AnswerError(failed?.message ?? "no provider is configured")
    }

    @inline(never)
    private func noteFailover(from failed: Int, to next: Int) {
        logger.warning(
            "asking the next provider",
            metadata: [
                "provider": "\(providers[failed].configuration.name)", "next": "\(providers[next].configuration.name)",
            ])
    }
}

/// Which providers rest after a failure.
///
/// ```
/// ready ─failed─▶ resting ─the time is over: one call tries─▶ resting ─answered─▶ ready
/// ```
final class ProviderRests: Sendable {
    /// Longer waits that a provider asks for are cut: it may have been a mistake.
    static let longest = Duration.seconds(300)

    private let coolDown: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    /// Until when each of them rests; nil: it does not.
    private let ends: Mutex<[ContinuousClock.Instant?]>

    init(count: Int, coolDown: Duration, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.coolDown = coolDown
        self.now = now
        ends = Mutex(Array(repeating: nil, count: count))
    }

    /// All of them: those that rest come last, for a provider that failed is better than none.
    func order() -> [Int] {
        let now = now()
        return ends.withLock { ends in
            var ready: [Int] = []
            var resting: [Int] = []
            for index in ends.indices {
                if let end = ends[index], end > now {
                    resting.append(index)
                } else {
                    // Who comes first after the rest finds out; the others need not try with it.
                    if ends[index] != nil { ends[index] = now + coolDown }
                    ready.append(index)
                }
            }
            return ready + resting
        }
    }

    func answered(_ index: Int) { ends.withLock { $0[index] = nil } }

    /// - Parameter retryAfter: when the provider wants to be asked again, if it said so.
    func failed(_ index: Int, retryAfter: Duration?) {
        guard coolDown > .zero else { return }
        let rest = max(coolDown, min(retryAfter ?? .zero, Self.longest))
        ends.withLock { $0[index] = now() + rest }
    }
}
