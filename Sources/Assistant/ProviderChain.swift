import Logging

/// Chain of providers in order: the next one is asked when one gives no answer at all.
///
/// A provider that could not answer is ejected for a while: it is asked after the others, so that not every call waits
/// for it in vain.
struct ProviderChain: LanguageModel {
    let providers: [ChatCompletionsProvider]
    let logger: Logger
    private let ejection: ProviderEjection

    /// Creates a chain.
    /// - Parameter coolDown: Time for which a provider that could not answer comes last; zero: it keeps its place.
    init(
        providers: [ChatCompletionsProvider], coolDown: Duration = .seconds(30), logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.providers = providers
        self.logger = logger
        ejection = ProviderEjection(count: providers.count, coolDown: coolDown, now: now)
    }

    func reply(to request: ModelRequest, onDelta: ResponseDelta?) async throws -> ModelReply {
        let delivery = Delivery(onDelta)
        var failed: ProviderError?
        let order = ejection.order()
        for (place, index) in order.enumerated() {
            let isLast = place == order.count - 1
            let provider = providers[index]
            do {
                // Where there is another provider, this one is not waited for long.
                let reply = try await provider.reply(
                    to: request, patience: isLast ? .seconds(60) : .seconds(1), delivery: delivery)
                ejection.succeeded(index)
                return reply
            } catch let failure as ProviderError {
                failed = failure
                // The failure of a call that had hardly any time left says nothing about the provider.
                let isLate = request.isLate()
                if failure.isProvidersFault, !(isLate && failure.reason == .timeout) {
                    ejection.failed(index, retryAfter: failure.retryAfter)
                } else if !failure.saysNothing {
                    ejection.succeeded(index)
                }
                guard failure.mayFailOver, !delivery.hasBegun, !isLast, !isLate else { break }
                noteFailover(from: index, to: order[place + 1])
            }
        }
        throw AssistantError(failed?.message ?? "no provider is configured")
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
