package import JSON

/// A language model: takes a conversation, gives the next turn.
package protocol LanguageModel: Sendable {
    /// The model's next turn.
    ///
    /// - Parameter onDelta: given only when the text is wanted as it is written; the pieces together are the reply's
    ///   text.
    /// - Throws: ``AnswerError``, or `CancellationError` when the caller left.
    func reply(to request: ModelRequest, onDelta: AnswerDelta?) async throws -> ModelReply
}

extension LanguageModel {
    /// Answers a prompt that stands alone.
    func answer(_ prompt: String, onDelta: AnswerDelta?) async throws -> String {
        try await reply(to: ModelRequest(messages: [ChatCompletion.user(prompt)]), onDelta: onDelta).text
    }
}

/// Request to a model.
package struct ModelRequest: Sendable {
    /// The conversation, in the form of the chat-completions protocol.
    package var messages: [JSONValue]
    /// Tools on offer, in the form of the chat-completions protocol.
    package var tools: [JSONValue]
    /// False: the tools are only there to explain earlier messages; the model must answer in words.
    package var mayCallTools: Bool
    /// The reply must be whole by then.
    package var deadline: ContinuousClock.Instant?
    /// A streamed reply must have begun by then.
    package var beginning: ContinuousClock.Instant?

    /// A request; see the properties.
    package init(
        messages: [JSONValue], tools: [JSONValue] = [], mayCallTools: Bool = true,
        deadline: ContinuousClock.Instant? = nil, beginning: ContinuousClock.Instant? = nil
    ) {
        self.messages = messages
        self.tools = tools
        self.mayCallTools = mayCallTools
        self.deadline = deadline
        self.beginning = beginning
    }

    /// Indicates whether nothing can come of it any more.
    func isLate(_ now: ContinuousClock.Instant = .now) -> Bool {
        [deadline, beginning].contains { end in end.map { $0 <= now } ?? false }
    }
}

/// One turn of a model: text, calls of tools, or both.
package struct ModelReply: Hashable, Sendable {
    /// Text of the turn; empty only when tools are called.
    package var text: String
    /// Calls that the model asks for, in its order.
    package var toolCalls: [ToolInvocation]
    /// Tokens of the turn, where the provider counts them.
    package var usage: ModelUsage?
    /// Indicates whether reasoning was taken out of the text that had an end and no beginning.
    var hadUnopenedReasoning = false

    /// A turn; see the properties.
    package init(text: String, toolCalls: [ToolInvocation] = [], usage: ModelUsage? = nil) {
        self.text = text
        self.toolCalls = toolCalls
        self.usage = usage
    }
}

/// A tool call that a model asks for. Nothing in it has been checked.
package struct ToolInvocation: Hashable, Sendable {
    /// Names the call among those of the turn; empty when the provider gave none.
    package var id: String
    /// The tool's name.
    package var name: String
    /// The arguments: JSON text, if the model kept to the rules.
    package var arguments: String
}

/// Tokens of one turn, as a provider counted them.
package struct ModelUsage: Hashable, Sendable {
    /// Largest count that is believed. Providers send any number; below this one, sums cannot overflow.
    package static let maximum = 1_000_000_000

    /// Tokens read, from 0 to ``maximum``.
    package let prompt: Int
    /// Tokens written, from 0 to ``maximum``.
    package let completion: Int

    /// Makes a usage; counts outside the bounds are taken to the nearer one.
    package init(prompt: Int, completion: Int) {
        self.prompt = min(max(prompt, 0), Self.maximum)
        self.completion = min(max(completion, 0), Self.maximum)
    }

    /// Tokens of the turn altogether.
    var total: Int { prompt + completion }
}
