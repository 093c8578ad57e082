import Logging
package import MCPServer
package import Store

/// Memory of a conversation: the earlier messages that are sent with a chat message.
package struct ConversationMemory: Sendable {
    let messages: any MessageStore
    let maximumExchanges: Int
    /// Largest size in estimated tokens.
    let maximumTokens: Int

    /// Creates a memory that reads from a store of messages, up to both limits.
    package init(messages: any MessageStore, maximumExchanges: Int, maximumTokens: Int) {
        self.messages = messages
        self.maximumExchanges = maximumExchanges
        self.maximumTokens = maximumTokens
    }

    /// Returns the latest messages of the caller, oldest first; none for anonymous callers.
    package func recall(_ context: ToolContext) async -> [ConversationTurn] {
        guard let principal = context.principal, maximumExchanges > 0 else { return [] }
        do {
            let exchanges = try await messages.messages(userID: principal.id, limit: maximumExchanges)
            return fit(
                exchanges.reversed().flatMap { exchange in
                    [ConversationTurn(.user, exchange.message), ConversationTurn(.assistant, exchange.response)]
                })
        } catch {
            // The question is answered without its history rather than not at all.
            context.logger.error("earlier messages could not be read", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Returns the latest of these turns that fit the limits, beginning with one of the user's.
    package func fit(_ turns: [ConversationTurn]) -> [ConversationTurn] {
        var tokens = 0
        var first = turns.endIndex
        for index in turns.indices.reversed() {
            tokens += TokenEstimate.of(turns[index].text)
            guard tokens <= maximumTokens else { break }
            if turns[index].speaker == .user { first = index }
        }
        return Array(turns[first...])
    }
}
