package import MCPServer

/// Takes the pieces of an answer in order, and may wait while whoever reads them is slow. An empty piece only says that
/// the work goes on.
package typealias AnswerDelta = @Sendable (String) async -> Void

/// Something that answers a question in text.
package protocol AnswerProvider: Sendable {
    /// Answers the question.
    ///
    /// - Parameter onDelta: given only when the caller wants the answer piece by piece; called in order, and the
    ///   pieces together are the answer.
    /// - Returns: the whole answer.
    /// - Throws: ``AnswerError``, `CancellationError` when the caller left, or what `ToolContext.ask` throws to be let
    ///   through.
    func answer(_ question: Question, onDelta: AnswerDelta?) async throws -> String
}

extension AnswerProvider {
    /// Answers a prompt that stands alone.
    package func answer(_ prompt: String, onDelta: AnswerDelta?) async throws -> String {
        try await answer(Question(prompt), onDelta: onDelta)
    }
}

/// What is asked, and what belongs to it.
package struct Question: Sendable {
    /// The caller's words, verbatim.
    package var prompt: String
    /// What was said before, oldest first.
    package var history: [ConversationTurn]
    /// The call that the question came with: its caller is the one whose rights count. `nil`: nobody's.
    package var context: ToolContext?

    /// A question, by default without a past and from nobody in particular.
    package init(_ prompt: String, history: [ConversationTurn] = [], context: ToolContext? = nil) {
        self.prompt = prompt
        self.history = history
        self.context = context
    }
}

/// One message of a conversation.
package struct ConversationTurn: Hashable, Sendable {
    /// Who speaks.
    package enum Speaker: String, CaseIterable, Codable, Sendable {
        case user, assistant
    }

    /// Who said it.
    package let speaker: Speaker
    /// The words, verbatim.
    package let text: String

    /// A message of a speaker.
    package init(_ speaker: Speaker, _ text: String) {
        self.speaker = speaker
        self.text = text
    }
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
