import Foundation
import JSON
import JSONConfiguration
import Logging
import MCPServer
import NIOConcurrencyHelpers
import Observability
import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import Store

/// Daily budgets of tokens, in the stores of both engines.
@Suite struct TokenBudgetTests {
    /// A model that answers with a number of tokens, or nothing of them.
    private struct CountingModel: LanguageModel {
        var tokens: Int? = 40
        let calls = NIOLockedValueBox(0)
        /// Ends the reply when its first piece has been passed on.
        var breaksOff: (any Error)?

        func reply(to request: ModelRequest, onDelta: ResponseDelta?) async throws -> ModelReply {
            calls.withLockedValue { $0 += 1 }
            if let breaksOff {
                await onDelta?(String(repeating: "x", count: 400))
                throw breaksOff
            }
            return ModelReply(text: "answer", usage: tokens.map { ModelUsage(prompt: $0 - 10, completion: 10) })
        }
    }

    private let clock = NIOLockedValueBox(Date(timeIntervalSince1970: 1_800_000_000))

    private func model(
        _ base: CountingModel, _ store: any TokenUsageStore, limit: Int = 100, anonymous: Int? = nil
    ) -> BudgetedModel {
        BudgetedModel(
            base: base, budget: BudgetConfiguration(tokensPerDay: limit, anonymousTokensPerDay: anonymous),
            usage: store,
            metrics: AssistantMetrics(registry: MetricsRegistry()), logger: Logger(label: "test"),
            now: { [clock] in clock.withLockedValue { $0 } })
    }

    private func ask(_ model: BudgetedModel, _ user: String?) async throws -> String {
        var request = ModelRequest(messages: [ChatCompletion.user("question")])
        request.userID = user
        return try await model.reply(to: request, onDelta: { _ in }).text
    }

    @Test(arguments: Engine.allCases) func aUserHasABudgetForEachDay(engine: Engine) async throws {
        let store = try await engine.store()
        // Two replicas count in one store.
        let replicas = [model(CountingModel(), store), model(CountingModel(), store)]
        for number in 0..<3 { #expect(try await ask(replicas[number % 2], "local:1") == "answer") }
        let error = await #expect(throws: AssistantError.self) { try await ask(replicas[1], "local:1") }
        #expect(error?.message == "your budget of 100 tokens for today is spent; a new one begins at midnight UTC")
        #expect(replicas.reduce(0) { $0 + ($1.base as! CountingModel).calls.withLockedValue { $0 } } == 3)
        // Other users have theirs, and anonymous callers one together.
        #expect(try await ask(replicas[0], "local:2") == "answer")
        #expect(try await ask(replicas[0], nil) == "answer")
        #expect(try await store.usedTokens(userID: "local:1", day: UsageDay(clock.withLockedValue { $0 })) == 120)
        // 2027-01-15 08:00 UTC: sixteen hours later the next day begins.
        clock.withLockedValue { $0 += 16 * 3600 - 1 }
        await #expect(throws: AssistantError.self) { try await ask(replicas[0], "local:1") }
        clock.withLockedValue { $0 += 1 }
        #expect(try await ask(replicas[0], "local:1") == "answer")
        let usage = try await store.tokenUsage(userID: "local:1")
        #expect(usage.map(\.tokens) == [40, 120])
        #expect(usage.map(\.day.description) == ["2027-01-16", "2027-01-15"])
        try await store.deleteTokenUsage(before: UsageDay(clock.withLockedValue { $0 }))
        #expect(try await store.tokenUsage(userID: "local:1").map(\.tokens) == [40])
        try await store.deleteTokenUsage(userID: "local:1")
        #expect(try await store.tokenUsage(userID: "local:1").isEmpty)
        #expect(try await store.tokenUsage(userID: "local:2").isEmpty)
        try await store.close()
    }

    @Test(arguments: Engine.allCases) func manyAtATimeAreCountedExactly(engine: Engine) async throws {
        let store = try await engine.store()
        let model = model(CountingModel(tokens: 11), store, limit: 1_000_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 { group.addTask { _ = try await ask(model, "local:\(number % 2)") } }
            try await group.waitForAll()
        }
        for user in 0...1 {
            #expect(
                try await store.usedTokens(userID: "local:\(user)", day: UsageDay(clock.withLockedValue { $0 })) == 550)
        }
        try await store.close()
    }

    @Test func whatAProviderDoesNotCountIsEstimated() async throws {
        let store = try await Engine.sqlite.store()
        _ = try await ask(model(CountingModel(tokens: nil), store), "a\0b")
        let day = UsageDay(clock.withLockedValue { $0 })
        let estimate = try await store.usedTokens(userID: "a\0b", day: day)
        #expect((5...60).contains(estimate))
        // An answer that is broken off costs what was read and written.
        let errors: [any Error] = [CancellationError(), AssistantError("gone")]
        for error in errors {
            let before = try await store.usedTokens(userID: "b", day: day)
            await #expect(throws: (any Error).self) {
                try await ask(model(CountingModel(breaksOff: error), store, limit: 10_000), "b")
            }
            let cost = try await store.usedTokens(userID: "b", day: day) - before
            #expect((100...200).contains(cost))
        }
        try await store.close()
    }

    @Test func anonymousCallersShareTheirs() async throws {
        let store = try await Engine.sqlite.store()
        let model = model(CountingModel(), store, limit: 1000, anonymous: 0)
        let error = await #expect(throws: AssistantError.self) { try await ask(model, nil) }
        #expect(error?.message.hasPrefix("the budget of callers who are not logged in of 0 tokens") == true)
        #expect(try await ask(model, "local:1") == "answer")
        try await store.close()
    }

    @Test func aBudgetEndsTheAnswersOfTheTools() async throws {
        let turns: [FakeProvider.Turn] = Array(repeating: .text("Yes."), count: 5)
        let fixture = try await AgentFixture(turns, ai: ["budget": ["tokensPerDay": 40]])
        defer { fixture.stop() }
        var texts: [String] = []
        for _ in 0..<4 {
            let result = try await fixture.tools.call("ai_prompt", ["prompt": "Well?"], as: fixture.tools.alice)
            texts.append(result.text)
            if result.isError { break }
        }
        // Each answer uses 15 tokens, as the provider counts them.
        #expect(texts.count == 4)
        #expect(texts.first?.contains("Yes.") == true)
        let last = try #require(texts.last)
        #expect(last == "AI error: your budget of 40 tokens for today is spent; a new one begins at midnight UTC")
        // Another user is answered.
        #expect(try await !fixture.tools.call("ai_prompt", ["prompt": "Well?"], as: fixture.tools.bob).isError)
        #expect(fixture.tools.metrics.contains("tool_server_ai_budget_refusals_total 1"))
    }

    @Test(arguments: [[:], ["tokensPerDay": -1], ["tokensPerDay": "x"], ["tokens": 5]] as [JSONObject])
    func aBudgetThatMakesNoSenseIsRefused(budget: JSONObject) {
        let reader = ConfigurationReader(
            document: ["baseURL": "http://127.0.0.1:1/v1", "model": "m", "budget": .object(budget)],
            path: ["toolServer", "ai"], environment: [:], environmentPrefix: "AI")
        _ = AssistantConfiguration(reader)
        let errors = #expect(throws: ConfigurationErrors.self) { try reader.finish() }
        #expect(errors?.description.contains("toolServer.ai.budget.") == true, "\(errors?.description ?? "")")
    }
}
