package import JSONConfiguration

/// Settings for questions to the model: the other keys of the `ai` section.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `instructions` | built in | system message of every request to the model; empty: none |
/// | `passages` | 4 | passages of the documents sent along with a question; 0: none |
/// | `history.exchanges` | 20 | exchanges of a logged-in user sent along with a chat message; 0: none |
/// | `history.tokens` | 2000 | tokens that these exchanges may take, estimated |
/// | `tools.enabled` | `true` | offers the server's own tools to the model, with the caller's rights |
/// | `tools.exclude` | `[]` | tools that the model is not offered |
/// | `tools.writes` | `confirm` | tools that change something: `confirm` asks the user first, `refuse` never runs them |
/// | `tools.maxSteps` | 8 | largest number of the model's turns for one answer |
/// | `tools.maxCalls` | 16 | largest number of tool calls for one answer |
/// | `tools.maxTokens` | 100000 | largest number of tokens for one answer, as counted by the provider or estimated |
/// | `tools.maxResult` | 16 KiB | largest part of one tool's result that is sent to the model |
/// | `tools.timeout` | 25 s | time for the whole answer, without the time that users take to confirm |
/// | `tools.streamTimeout` | 570 s | the same for a streamed answer, whose `timeout` is the longest pause |
package struct AgentConfiguration: Sendable {
    /// Handling of the model's calls of tools that change data.
    package enum Writes: String, CaseIterable, Sendable {
        case confirm, refuse
    }

    /// System message about the model's task.
    package var instructions: String
    /// Largest number of document passages that a question is sent with.
    package var passages: Int
    /// Largest number of earlier exchanges that a chat message is sent with.
    package var historyExchanges: Int
    /// Largest size of earlier exchanges, in estimated tokens.
    package var historyTokens: Int
    /// True if the model may call tools.
    package var offersTools: Bool
    /// Names of tools that are not offered to the model.
    package var excluded: Set<String>
    /// Handling of calls that change data.
    package var writes: Writes
    /// Largest number of turns of the model for one answer.
    package var maxSteps: Int
    /// Largest number of tool calls for one answer.
    package var maxCalls: Int
    /// Largest number of tokens for one answer.
    package var maxTokens: Int
    /// Largest part of a tool's result that the model gets, in bytes.
    package var maxResult: Int
    /// Time limit for an answer, without the time that users take to confirm. For a streamed answer: the longest time
    /// without anything new for its reader.
    package var timeout: Duration
    /// Time limit for a whole streamed answer.
    package var streamTimeout: Duration

    static let standardInstructions = """
        You answer the users of a company's internal application. Answer in the language of the question, briefly and \
        to the point. When you do not know, say so; do not invent records, names or addresses.
        """

    /// Creates a configuration with standard values.
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
            "instructions", default: instructions, "System message: what the model is told about its task. Empty: none."
        )
        passages = reader.integer(
            "passages", default: passages, in: 0...50,
            "Largest number of document passages that a question is sent with; 0: none.")
        (historyExchanges, historyTokens) = reader.section(
            "history", "Earlier messages of a logged-in user that a chat message is sent with."
        ) { [self] section in
            (
                section.integer(
                    "exchanges", default: historyExchanges, in: 0...200, "Largest number of earlier exchanges; 0: none."
                ),
                section.integer(
                    "tokens", default: historyTokens, in: 0...1_000_000,
                    "Largest size of earlier exchanges in estimated tokens; older ones are left out.")
            )
        }
        var copy = self
        reader.section("tools", "Calls of the server's own tools by the model.") { copy.readTools($0) }
        self = copy
    }

    private mutating func readTools(_ reader: ConfigurationReader) {
        offersTools = reader.bool(
            "enabled", default: offersTools, "true: the model may call the server's tools with the caller's rights.")
        excluded = Set(reader.strings("exclude", default: [], "Names of tools that the model is not offered."))
        writes = reader.choice(
            "writes", default: writes,
            "Calls of tools that change data. confirm: each is run after the user agreed; refuse: none is run.")
        maxSteps = reader.integer(
            "maxSteps", default: maxSteps, in: 1...100,
            "Largest number of the model's turns for one answer; in the last one it may call no tools.")
        maxCalls = reader.integer(
            "maxCalls", default: maxCalls, in: 1...1000,
            "Largest number of tool calls for one answer; further ones are refused.")
        maxTokens = reader.integer(
            "maxTokens", default: maxTokens, in: 100...100_000_000,
            "Tokens for one answer, as the provider counts them or estimated; beyond them the model may call no tools.")
        maxResult = reader.bytes(
            "maxResult", default: maxResult, in: 256...(16 << 20),
            "Largest part of one tool's result in bytes that the model gets; the rest is cut with a note.")
        timeout = reader.duration(
            "timeout", default: timeout, in: .milliseconds(10) ... .seconds(3600),
            "Time limit for an answer, without the time that users take to confirm; for a streamed answer, the longest time "
                + "without anything new for its reader. Beyond it the answer fails."
        )
        streamTimeout = reader.duration(
            "streamTimeout", default: streamTimeout, in: .milliseconds(10) ... .seconds(86_400),
            "Time limit for a whole streamed answer, without the time that users take to confirm; beyond it the answer fails."
        )
    }
}
