import JSON
import JSONConfiguration
import TestSupport
import Testing

@testable import Assistant
@testable import Store

/// Who waits for an answer must hear of the provider's failure before his own time is over.
@Suite struct TimeBudgetTests {
    /// Milliseconds of a duration as the configuration file writes it.
    private func milliseconds(_ text: String) throws -> Int {
        let number = try #require(Int(text.prefix { $0.isNumber }))
        return text.hasSuffix("ms") ? number : number * 1000
    }

    @Test func theStandardLimitsAreBelowThoseOfTheShippedTypes() throws {
        let shipped = try JSONValue(parsing: Array(Checkout.text("gateway.json").utf8))
        let provider = ProviderConfiguration(baseURL: "http://127.0.0.1:1/v1", model: "m")
        let agent = AgentConfiguration()
        for type in ["ai_prompt", "chat"] {
            let timeout = try milliseconds(#require(shipped["chat"]?["types"]?[type]?["timeout"]?.string))
            for limit in [provider.timeout, provider.firstTokenTimeout, provider.idleTimeout, agent.timeout] {
                #expect(limit < .milliseconds(timeout))
            }
            // The shipped types keep the gateway's own total for streams.
            #expect(shipped["chat"]?["types"]?[type]?["streamTimeout"] == nil)
            for limit in [provider.streamTimeout, agent.streamTimeout] { #expect(limit < .seconds(600)) }
        }
    }

    @Test func anAnswerThatComesWholeHasOneEnd() {
        let now = ContinuousClock.now
        let time = ResponseDeadline(AgentConfiguration(), isStreamed: false, now: now)
        time.sign(now + .seconds(20))
        #expect(time.nextSign == nil)
        #expect(time.limit == now + .seconds(25))
        // What people take to confirm does not count.
        time.exclude(.seconds(60))
        #expect(time.limit == now + .seconds(85))
    }

    @Test func aStreamedAnswerGoesOnAsLongAsItGrows() {
        let now = ContinuousClock.now
        let time = ResponseDeadline(AgentConfiguration(), isStreamed: true, now: now)
        #expect(time.limit == now + .seconds(25))
        time.sign(now + .seconds(20))
        #expect(time.limit == now + .seconds(45))
        time.exclude(.seconds(60))
        #expect(time.limit == now + .seconds(105))
        time.sign(now + .seconds(625))
        #expect(time.limit == time.end)
        #expect(time.end == now + .seconds(630))
    }

    @Test func theFilesDefaultsAreTheStandardOnes() throws {
        let reader = ConfigurationReader(
            document: ["baseURL": "http://127.0.0.1:1/v1", "model": "m"], environment: [:], environmentPrefix: "AI")
        let ai = try #require(AssistantConfiguration(reader))
        try reader.finish()
        #expect(ai.providers[0].timeout == ProviderConfiguration(baseURL: "", model: "").timeout)
        #expect(ai.providers[0].streamTimeout == ProviderConfiguration(baseURL: "", model: "").streamTimeout)
        #expect(ai.agent.timeout == AgentConfiguration().timeout)
        #expect(ai.agent.streamTimeout == AgentConfiguration().streamTimeout)
        #expect(ai.coolDown == .seconds(30))
    }
}
