package import JSONConfiguration

/// How questions are put to the model: the rest of the `ai` section.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `instructions` | built in | what the model is told about its task; empty: nothing |
/// | `passages` | 4 | passages of the documents given along with a question; 0: none |
/// | `history.exchanges` | 20 | exchanges of a logged-in user given along with a chat message; 0: none |
/// | `history.tokens` | 2000 | most that they may take, estimated |
/// | `tools.enabled` | `true` | whether the model may call the server's own tools, with the caller's rights |
/// | `tools.exclude` | `[]` | tools that the model is not offered |
/// | `tools.writes` | `confirm` | tools that change something: `confirm` asks the user first, `refuse` never runs them |
/// | `tools.maxSteps` | 8 | turns of the model for one answer |
/// | `tools.maxCalls` | 16 | tool calls for one answer |
/// | `tools.maxTokens` | 100000 | tokens for one answer, as counted by the provider or estimated |
/// | `tools.maxResult` | 16 KiB | most of one tool's result that the model gets |
/// | `tools.timeout` | 25 s | for the whole answer, without the time that people take to confirm |
/// | `tools.streamTimeout` | 570 s | the same of a streamed answer, whose `timeout` is between two signs of life |
package struct AgentConfiguration: Sendable {
    /// What happens when the model calls a tool that changes something.
    package enum Writes: String, CaseIterable, Sendable {
        case confirm, refuse
    }

    /// What the model is told about its task.
    package var instructions: String
    /// Passages of the documents given along with a question.
    package var passages: Int
    /// Exchanges of a logged-in user given along with a chat message.
    package var historyExchanges: Int
    /// Most that they may take, in estimated tokens.
    package var historyTokens: Int
    /// Whether the model may call tools.
    package var offersTools: Bool
    /// Tools that the model is not offered.
    package var excluded: Set<String>
    /// What happens when the model calls a tool that changes something.
    package var writes: Writes
    /// Turns of the model for one answer.
    package var maxSteps: Int
    /// Tool calls for one answer.
    package var maxCalls: Int
    /// Tokens for one answer.
    package var maxTokens: Int
    /// Most of one tool's result that the model gets, in bytes.
    package var maxResult: Int
    /// For the whole answer, without the time that people take to confirm. Of a streamed answer: the longest time
    /// without anything that its reader hears of.
    package var timeout: Duration
    /// For the whole of a streamed answer, likewise.
    package var streamTimeout: Duration

    static let standardInstructions = """
        You answer the users of a company's internal application. Answer in the language of the question, briefly and \
        to the point. When you do not know, say so; do not invent records, names or addresses.
        """

    /// Standard values.
    package init() {
        instructions = Self.standardInstructions
        passages = 4
        historyExchanges = 20
        historyTokens = 2000
        offersTools = true
        excluded = []
        writes = .confirm
        maxSteps = 8
        maxCalls = 16
        maxTokens = 100_000
        maxResult = 16 << 10
        timeout = .seconds(25)
        streamTimeout = .seconds(570)
    }

    /// Reads the keys from the `ai` section.
    package init(_ reader: ConfigurationReader) {
        self.init()
        instructions = reader.string(
            "instructions", default: instructions, "What the model is told about its task; empty: nothing.")
        passages = reader.integer(
            "passages", default: passages, in: 0...50, "Passages of the documents given along with a question.")
        (historyExchanges, historyTokens) = reader.section(
            "history", "What a chat message carries of what the logged-in user said before."
        ) { [self] section in
            (
                section.integer("exchanges", default: historyExchanges, in: 0...200, "Exchanges at most; 0: none."),
                section.integer("tokens", default: historyTokens, in: 0...1_000_000, "Tokens at most, estimated.")
            )
        }
        var copy = self
        reader.section("tools", "The server's own tools in the hands of the model.") { copy.readTools($0) }
        self = copy
    }

    private mutating func readTools(_ reader: ConfigurationReader) {
        offersTools = reader.bool(
            "enabled", default: offersTools, "Whether the model may call the server's tools, with the caller's rights.")
        excluded = Set(reader.strings("exclude", default: [], "Tools that the model is not offered."))
        writes = reader.choice(
            "writes", default: writes,
            "Tools that change something: confirm asks the user first, refuse never runs them.")
        maxSteps = reader.integer("maxSteps", default: maxSteps, in: 1...100, "Turns of the model for one answer.")
        maxCalls = reader.integer("maxCalls", default: maxCalls, in: 1...1000, "Tool calls for one answer.")
        maxTokens = reader.integer(
            "maxTokens", default: maxTokens, in: 100...100_000_000, "Tokens for one answer, counted or estimated.")
        maxResult = reader.bytes(
            "maxResult", default: maxResult, in: 256...(16 << 20), "Most of one tool's result that the model gets.")
        timeout = reader.duration(
            "timeout", default: timeout, in: .milliseconds(10) ... .seconds(3600),
            "For the whole answer, without the time that people take to confirm; of a streamed one: between its signs."
        )
        streamTimeout = reader.duration(
            "streamTimeout", default: streamTimeout, in: .milliseconds(10) ... .seconds(86_400),
            "For the whole of a streamed answer, without the time that people take to confirm.")
    }
}
