package import MCPServer

/// Closure that takes the pieces of an answer in order, and may wait while their reader is slow. An empty piece only
/// shows that the work continues.
package typealias ResponseDelta = @Sendable (String) async -> Void

/// Provider of answers to questions, in text.
package protocol ResponseProvider: Sendable {
    /// Answers the question.
    ///
    /// - Parameter onDelta: Present only when the caller wants the answer piece by piece; called in order, and the
    ///   pieces together are the answer.
    /// - Returns: The whole answer.
    /// - Throws: ``AssistantError``, `CancellationError` when the caller has left, or an error of `ToolContext.ask`, to be
    ///   passed on.
    func answer(_ question: Question, onDelta: ResponseDelta?) async throws -> String
}

extension ResponseProvider {
    /// Answers a single prompt without a conversation.
    package func answer(_ prompt: String, onDelta: ResponseDelta?) async throws -> String {
        try await answer(Question(prompt), onDelta: onDelta)
    }
}

/// Question with its conversation and its caller.
package struct Question: Sendable {
    /// The caller's message, verbatim.
    package var prompt: String
    /// Earlier messages of the conversation, oldest first.
    package var history: [ConversationTurn]
    /// Call that asks the question, whose caller's rights apply. Nil: no caller, and no rights.
    package var context: ToolContext?

    /// Creates a question, by default without a conversation and without a caller.
    package init(_ prompt: String, history: [ConversationTurn] = [], context: ToolContext? = nil) {
        self.prompt = prompt
        self.history = history
        self.context = context
    }
}

/// One message of a conversation.
package struct ConversationTurn: Hashable, Sendable {
    /// Speaker of a message.
    package enum Speaker: String, CaseIterable, Codable, Sendable {
        case user, assistant
    }

    /// Speaker of the message.
    package let speaker: Speaker
    /// Text of the message, verbatim.
    package let text: String

    /// Creates a message of a speaker.
    package init(_ speaker: Speaker, _ text: String) {
        self.speaker = speaker
        self.text = text
    }
}

/// Reason for a missing answer, in words for the caller: without keys and addresses of the provider.
package struct AssistantError: Error, Hashable, Sendable {
    /// The text after `AI error: `.
    package let message: String

    /// Creates an error with its text.
    package init(_ message: String) {
        self.message = message
    }
}
