/// Something that answers a question in text.
package protocol AnswerProvider: Sendable {
    /// Answers the prompt.
    ///
    /// - Parameter onDelta: given only when the caller wants the answer piece by piece; called in order, and the
    ///   pieces together are the answer.
    /// - Returns: the whole answer.
    /// - Throws: ``AnswerError``, or `CancellationError` when the caller left.
    func answer(_ prompt: String, onDelta: (@Sendable (String) async -> Void)?) async throws -> String
}

/// Why there is no answer, in words fit for the caller: no key, no address of the provider.
package struct AnswerError: Error, Hashable, Sendable {
    /// The text after `AI error: `.
    package let message: String

    /// An error with its text.
    package init(_ message: String) {
        self.message = message
    }
}
