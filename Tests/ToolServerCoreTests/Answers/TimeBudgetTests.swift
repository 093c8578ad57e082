import Configuration
import Foundation
import JSON
import TestSupport
import Testing

@testable import ToolServerCore

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
            for limit in [provider.timeout, provider.firstTokenTimeout, agent.timeout] {
                #expect(limit < .milliseconds(timeout))
            }
        }
    }

    @Test func theFilesDefaultsAreTheStandardOnes() throws {
        let configuration = try ToolServerConfiguration(
            document: ["toolServer": ["ai": ["baseURL": "http://127.0.0.1:1/v1", "model": "m"]]], environment: [:])
        let ai = try #require(configuration.ai)
        #expect(ai.providers[0].timeout == ProviderConfiguration(baseURL: "", model: "").timeout)
        #expect(ai.agent.timeout == AgentConfiguration().timeout)
        #expect(ai.coolDown == .seconds(30))
    }
}
