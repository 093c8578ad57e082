import Foundation
import JSON
import Logging
import Store
import Synchronization

/// A language model that each user may use within a daily budget of tokens, counted in the store.
struct BudgetedModel: LanguageModel {
    /// User id under which the use of all anonymous callers is counted: no user has it.
    private static let anonymous = ""

    let base: any LanguageModel
    let budget: BudgetConfiguration
    let usage: any TokenUsageStore
    let metrics: AssistantMetrics
    let logger: Logger
    let now: @Sendable () -> Date

    /// Number of bytes of text that have been passed on.
    private final class Written: Sendable {
        let bytes = Mutex(0)
    }

    func reply(to request: ModelRequest, onDelta: ResponseDelta?) async throws -> ModelReply {
        let limit = request.userID == nil ? budget.anonymousTokensPerDay : budget.tokensPerDay
        let user = request.userID ?? Self.anonymous
        let day = UsageDay(now())
        guard try await usage.usedTokens(userID: user, day: day) < Int64(clamping: limit) else {
            metrics.budgetRefusals.with().increment()
            let whose = request.userID == nil ? "the budget of callers who are not logged in" : "your budget"
            throw AssistantError("\(whose) of \(limit) tokens for today is spent; a new one begins at midnight UTC")
        }
        let written = Written()
        let counting = onDelta.map { pass -> ResponseDelta in
            { text in
                written.bytes.withLock { $0 += text.utf8.count }
                await pass(text)
            }
        }
        do {
            let reply = try await base.reply(to: request, onDelta: counting)
            await add(reply.usage?.total ?? TokenEstimate.of(request.messages) + TokenEstimate.of(reply), user, day)
            return reply
        } catch {
            // The provider has worked for an answer that was broken off, and charges for it.
            let bytes = written.bytes.withLock { $0 }
            if bytes > 0 || error is CancellationError {
                await add(TokenEstimate.of(request.messages) + bytes / 4, user, day)
            }
            throw error
        }
    }

    private func add(_ tokens: Int, _ user: String, _ day: UsageDay) async {
        // In a task of its own, which a caller that has left does not cancel.
        await Task { [usage, logger] in
            do {
                try await usage.addTokens(Int64(clamping: tokens), userID: user, day: day)
            } catch {
                logger.error("tokens not counted", metadata: ["error": "\(error)", "tokens": "\(tokens)"])
            }
        }.value
    }
}
