import Logging

/// Several providers in order: the next one is asked when one gives nothing at all.
struct ProviderChain: LanguageModel {
    let providers: [ChatCompletionsProvider]
    let logger: Logger

    func reply(to request: ModelRequest, onDelta: AnswerDelta?) async throws -> ModelReply {
        let delivery = Delivery(onDelta)
        var failed: ProviderFailure?
        for (index, provider) in providers.enumerated() {
            let isLast = index == providers.count - 1
            do {
                // Where there is another provider, nobody waits long for this one.
                return try await provider.reply(
                    to: request, patience: isLast ? .seconds(60) : .seconds(1), delivery: delivery)
            } catch let failure as ProviderFailure {
                failed = failure
                guard failure.mayFailOver, !delivery.hasBegun, !isLast else { break }
                if let deadline = request.deadline, deadline <= .now { break }
                logger.warning(
                    "asking the next provider",
                    metadata: [
                        "provider": "\(provider.configuration.name)",
                        "next": "\(providers[index + 1].configuration.name)",
                    ])
            }
        }
        throw AnswerError(failed?.message ?? "no provider is configured")
    }
}
