import Synchronization

/// Answers with the provider that a reload last put in place; what is being answered keeps its own.
final class ReplaceableAnswers: AnswerProvider {
    private let provider: Mutex<any AnswerProvider>

    init(_ provider: any AnswerProvider) {
        self.provider = Mutex(provider)
    }

    func replace(with provider: any AnswerProvider) {
        self.provider.withLock { $0 = provider }
    }

    func answer(_ question: Question, onDelta: AnswerDelta?) async throws -> String {
        let provider = provider.withLock { $0 }
        return try await provider.answer(question, onDelta: onDelta)
    }
}
