import JSONConfiguration

/// Tokens that callers may use in a day, the section `budget` of `ai`.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `tokensPerDay` | required | tokens of each user in a day (UTC) |
/// | `anonymousTokensPerDay` | `tokensPerDay` | tokens of all anonymous callers together |
package struct BudgetConfiguration: Hashable, Sendable {
    /// Tokens of each user in a day.
    package var tokensPerDay: Int
    /// Tokens of all anonymous callers together in a day.
    package var anonymousTokensPerDay: Int

    /// Creates a budget.
    package init(tokensPerDay: Int, anonymousTokensPerDay: Int? = nil) {
        self.tokensPerDay = tokensPerDay
        self.anonymousTokensPerDay = anonymousTokensPerDay ?? tokensPerDay
    }

    init(_ reader: ConfigurationReader) {
        let range = 0...1_000_000_000_000
        let tokens = reader.optionalInteger(
            "tokensPerDay", in: range,
            "Tokens that each user may use in a day (UTC), as the provider counts them, or estimated where it does not. They are "
                + "counted in the store, for all replicas. Beyond them an answer is an error that says so. Checked before "
                + "each question to the model, so that questions under way at the same time can exceed it.",
            example: 200_000)
        let anonymous = reader.optionalInteger(
            "anonymousTokensPerDay", in: range,
            "The same for all anonymous callers together. Default: tokensPerDay.", example: 50_000)
        if tokens == nil { reader.fail("tokensPerDay", expected: "a number of tokens", found: "nothing") }
        self.init(tokensPerDay: tokens ?? 0, anonymousTokensPerDay: anonymous)
    }
}
