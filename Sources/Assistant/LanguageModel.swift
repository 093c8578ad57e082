package import JSON

/// A language model: takes a conversation, returns the next turn.
package protocol LanguageModel: Sendable {
    /// Returns the model's next turn.
    ///
    /// - Parameter onDelta: Present only when the text is wanted as it is written; the pieces together are the reply's
    ///   text.
    /// - Throws: ``AssistantError``, or `CancellationError` when the caller has left.
    func reply(to request: ModelRequest, onDelta: ResponseDelta?) async throws -> ModelReply
}

extension LanguageModel {
    /// Answers a single prompt without a conversation.
    func answer(_ prompt: String, onDelta: ResponseDelta?) async throws -> String {
        try await reply(to: ModelRequest(messages: [ChatCompletion.user(prompt)]), onDelta: onDelta).text
    }
}

/// Request to a model.
package struct ModelRequest: Sendable {
    /// The conversation, in the form of the chat-completions protocol.
    package var messages: [JSONValue]
    /// Offered tools, in the form of the chat-completions protocol.
    package var tools: [JSONValue]
    /// False if the tools only explain earlier messages, so that the model must answer in words.
    package var mayCallTools: Bool
    /// Deadline of the complete reply.
    package var deadline: ContinuousClock.Instant?
    /// Deadline of the beginning of a streamed reply.
    package var beginning: ContinuousClock.Instant?
    /// User on whose behalf the model is asked, as in `Principal.id`; nil: an anonymous caller.
    package var userID: String?

    /// Creates a request.
    package init(
        messages: [JSONValue], tools: [JSONValue] = [], mayCallTools: Bool = true,
        deadline: ContinuousClock.Instant? = nil, beginning: ContinuousClock.Instant? = nil, userID: String? = nil
    ) {
        self.messages = messages
        self.tools = tools
        self.mayCallTools = mayCallTools
        self.deadline = deadline
        self.beginning = beginning
        self.userID = userID
    }

    /// Returns whether a deadline of the request has passed.
    func isLate(_ now: ContinuousClock.Instant = .now) -> Bool {
        [deadline, beginning].contains { end in end.map { $0 <= now } ?? false }
    }
}

/// One turn of a model: text, calls of tools, or both.
package struct ModelReply: Hashable, Sendable {
    /// Text of the turn; empty only when tools are called.
    package var text: String
    /// Calls that the model requests, in its order.
    package var toolCalls: [ToolInvocation]
    /// Numbers of tokens of the turn, where the provider counts them.
    package var usage: ModelUsage?
    /// True if reasoning with an end but no beginning was removed from the text.
    var hadUnopenedReasoning = false

    /// Creates a turn.
    package init(text: String, toolCalls: [ToolInvocation] = [], usage: ModelUsage? = nil) {
        self.text = text
        self.toolCalls = toolCalls
        self.usage = usage
    }
}

/// A tool call that a model requests. Nothing in it has been checked.
package struct ToolInvocation: Hashable, Sendable {
    /// Identifier of the call among those of the turn; empty when the provider sent none.
    package var id: String
    /// Name of the tool.
    package var name: String
    /// Arguments: JSON text, unless the model made an error.
    package var arguments: String
}

/// Numbers of tokens of one turn, as the provider counted them.
package struct ModelUsage: Hashable, Sendable {
    /// Largest accepted count. Providers may send any number; below this one, sums cannot overflow.
    package static let maximum = 1_000_000_000

    /// Number of tokens read, from 0 to ``maximum``.
    package let prompt: Int
    /// Number of tokens written, from 0 to ``maximum``.
    package let completion: Int

    /// Creates a usage; counts outside the bounds are replaced by the nearest bound.
    package init(prompt: Int, completion: Int) {
        self.prompt = min(max(prompt, 0), Self.maximum)
        self.completion = min(max(completion, 0), Self.maximum)
    }

    /// Number of all tokens of the turn.
    var total: Int { prompt + completion }
}
