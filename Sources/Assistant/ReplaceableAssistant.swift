import Synchronization

/// Provider that a reload replaces; a question that is being answered keeps its own.
package final class ReplaceableAssistant: AnswerProvider {
    private let provider: Mutex<any AnswerProvider>

    /// Begins with a provider.
    package init(_ provider: any AnswerProvider) {
        self.provider = Mutex(provider)
    }

    /// Puts another provider in place.
    package func replace(with provider: any AnswerProvider) {
        self.provider.withLock { $0 = provider }
    }

    package func answer(_ question: Question, onDelta: AnswerDelta?) async throws -> String {
        let provider = provider.withLock { $0 }
        return try await provider.answer(question, onDelta: onDelta)
    }
}
