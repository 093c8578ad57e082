package import JSONConfiguration

/// Settings of the `ai` section: an AI provider, its fallbacks, and settings for questions to them.
///
/// The section has the keys of the provider itself: see ``ProviderConfiguration``; `AI_BASE_URL`, `AI_MODEL` and
/// `AI_API_KEY` (or `AI_API_KEY_FILE`) set the first three. Besides:
///
/// | key | default | meaning |
/// |---|---|---|
/// | `fallbacks` | `[]` | providers asked in order when the ones before them fail |
/// | `coolDown` | 30 s | time for which a failed provider is asked after the others; 0: it keeps its place |
/// | `budget` | none | ``BudgetConfiguration`` |
/// | others | | ``AgentConfiguration`` |
package struct AssistantConfiguration: Sendable {
    /// Providers in the order in which they are asked; never empty.
    package var providers: [ProviderConfiguration]
    /// Settings for questions to the model.
    package var agent = AgentConfiguration()
    /// Time for which a provider that failed is asked after the others; zero: it keeps its place.
    package var coolDown = Duration.seconds(30)
    /// Tokens that callers may use in a day; nil: any number.
    package var budget: BudgetConfiguration?

    /// Creates a configuration of one provider, with standard values.
    package init(_ provider: ProviderConfiguration) {
        providers = [provider]
    }

    /// Values that must not appear in a log.
    package var secrets: [String] { providers.flatMap(\.secrets) }

    /// Reads the section; nil when it names no provider.
    package init?(_ reader: ConfigurationReader) {
        let primary = ProviderConfiguration(reader, name: "primary", environment: true)
        var number = 0
        let fallbacks = reader.list("fallbacks", "Further providers, asked in order when those before them fail.") {
            number += 1
            return ProviderConfiguration($0, name: "fallback\(number)", environment: false)
        }
        let coolDown = reader.duration(
            "coolDown", default: .seconds(30), in: .zero ... .seconds(3600),
            "Time for which a provider that failed is asked after the others; 0: it keeps its place.")
        let budget = reader.optionalSection(
            "budget", "Tokens that callers may use in a day. Not set: any number."
        ) { BudgetConfiguration($0) }
        let agent = AgentConfiguration(reader)
        guard let primary else { return nil }
        self.init(primary)
        providers += fallbacks.compactMap(\.self)
        self.agent = agent
        self.coolDown = coolDown
        self.budget = budget
    }
}
