import Assistant
import Foundation
import JSON
import JSONSchema
import Logging
import MCP
import MCPServer
import Store

/// Common part of `ai_prompt` and `chat`: ask the provider, and store the exchange for authenticated callers.
struct AssistantService: Sendable {
    let provider: any ResponseProvider
    let messages: any MessageStore
    let memory: ConversationMemory
    let now: @Sendable () -> Date

    /// Answers the prompt, passed on verbatim; the caller's progress notifications carry the pieces of the answer.
    func answer(
        _ prompt: String, history: [ConversationTurn] = [], whenEmpty: String, context: ToolContext
    ) async throws -> String {
        guard !prompt.isBlank else { throw ToolError(whenEmpty) }
        let answer = try await ToolError.translating(context) {
            do {
                return try await provider.answer(
                    Question(prompt, history: history, context: context), onDelta: Self.progress(of: context))
            } catch let error as AssistantError {
                throw ToolError("AI error: \(error.message)")
            }
        }
        // A cancelled call has no answer, so nothing is stored.
        try Task.checkCancellation()
        if let principal = context.principal {
            await remember(StoredMessage(message: prompt, response: answer, at: now()), of: principal, context)
        }
        return answer
    }

    private func remember(_ message: StoredMessage, of principal: Principal, _ context: ToolContext) async {
        do {
            try await messages.appendMessage(message, userID: principal.id)
        } catch {
            // The answer is returned although it could not be stored.
            context.logger.error("message could not be stored", metadata: ["error": "\(error)"])
        }
    }

    private static func progress(of context: ToolContext) -> ResponseDelta? {
        guard context.wantsProgress else { return nil }
        return { delta in await context.step(message: delta.isEmpty ? nil : delta) }
    }
}

/// Tool `ai_prompt`: answers one prompt.
struct AIPromptTool: TypedTool {
    struct Arguments: Decodable, Sendable, JSONSchemaDocumented {
        let prompt: String

        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "prompt": "The question or task, passed on verbatim."
        ]
    }

    static let name = "ai_prompt"
    static let title = "Ask the AI"
    static let description =
        "Answers a prompt with the configured AI provider, or from the company's documents where there is none. "
        + "Prompt and answer are stored for logged-in callers."
    static let annotations = ToolAnnotations.answering

    let service: AssistantService

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<String> {
        Results(try await service.answer(arguments.prompt, whenEmpty: "Empty prompt", context: context))
    }
}

/// Tool `chat`: answers one message of a conversation.
struct ChatTool: TypedTool {
    struct Arguments: Decodable, Sendable, JSONSchemaDocumented {
        /// One message of the conversation so far.
        struct Turn: Decodable, Sendable {
            let role: ConversationTurn.Speaker
            let content: String
        }

        let message: String
        let messages: [Turn]?

        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "message": "What the user says, passed on verbatim.",
            "messages": JSONSchemaProperty(
                "What was said before, oldest first, instead of the stored messages of a logged-in user.",
                maxItems: 1000),
        ]

        /// The conversation before the message; some clients repeat the message as its last entry, which is removed.
        var history: [ConversationTurn]? {
            guard let messages else { return nil }
            var turns = messages.map { ConversationTurn($0.role, $0.content) }
            if turns.last == ConversationTurn(.user, message) { turns.removeLast() }
            return turns
        }
    }

    static let name = "chat"
    static let title = "Chat"
    static let description =
        "Answers a chat message with the configured AI provider, or from the company's documents where there is none. "
        + "Message and answer are stored for logged-in callers."
    static let annotations = ToolAnnotations.answering

    let service: AssistantService

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<String> {
        let history: [ConversationTurn]
        if let given = arguments.history {
            history = service.memory.fit(given)
        } else {
            history = await service.memory.recall(context)
        }
        return Results(
            try await service.answer(
                arguments.message, history: history, whenEmpty: "Empty message", context: context))
    }
}

extension ToolAnnotations {
    /// Annotations of a tool that stores messages, may answer the same question differently, and may call a remote
    /// provider.
    static let answering = ToolAnnotations(
        readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true)
}

extension String {
    /// True if nothing remains after trimming as Python's `str.strip` does.
    fileprivate var isBlank: Bool {
        unicodeScalars.allSatisfy { $0.properties.isWhitespace || (0x1C...0x1F).contains($0.value) }
    }
}
