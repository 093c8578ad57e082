import Synchronization

/// Provider that a reload can replace; a question in progress keeps its own.
package final class ReplaceableAssistant: ResponseProvider {
    private let provider: Mutex<any ResponseProvider>

    /// Creates it with a first provider.
    package init(_ provider: any ResponseProvider) {
        self.provider = Mutex(provider)
    }

    /// Replaces the provider.
    package func replace(with provider: any ResponseProvider) {
        self.provider.withLock { $0 = provider }
    }

    package func answer(_ question: Question, onDelta: ResponseDelta?) async throws -> String {
        let provider = provider.withLock { $0 }
        return try await provider.answer(question, onDelta: onDelta)
    }
}
