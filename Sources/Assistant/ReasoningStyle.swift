/// Knowledge of how a provider's model marks its reasoning; decides how much of a stream is held back.
enum ReasoningStyle: Hashable, Sendable {
    /// Nothing yet: the beginning of the first stream is held back for a moment.
    case unknown
    /// Answers begin at once, or their reasoning is marked at both ends. Only what arrives together is looked at before
    /// it is passed on.
    case plain
    /// Reasoning has an end and no beginning, which stands in the server's prompt: streams are held back until that end.
    case unopened

    /// Time for which the beginning of a stream is held back while nothing is known.
    static let grace = Duration.milliseconds(100)

    /// Begins with what the configuration says, or the model's name tells.
    init(_ configuration: ProviderConfiguration) {
        switch configuration.reasoning {
        case .plain: self = .plain
        case .unopened: self = .unopened
        case .detect: self = Self.isReasoner(configuration.model) ? .unopened : .unknown
        }
    }

    /// Bytes of a stream that are held back at most.
    var holdLimit: Int {
        switch self {
        case .unknown, .plain: 4 << 10
        case .unopened: 256 << 10
        }
    }

    /// Learns from an answer.
    mutating func learn(_ reply: ModelReply, _ configuration: ProviderConfiguration) {
        guard configuration.reasoning == .detect, !reply.text.isEmpty else { return }
        self = reply.hadUnopenedReasoning ? .unopened : .plain
    }

    /// Ends the waiting at the beginning of streams, as it was in vain: reasoning that lasts for long is learned of at its end.
    mutating func graceEnded() {
        if self == .unknown { self = .plain }
    }

    /// Indicates whether a model is known by its name to reason before it answers.
    private static func isReasoner(_ model: String) -> Bool {
        let name = model.lowercased()
        let words = name.split { !$0.isLetter && !$0.isNumber }
        return words.contains("r1") || ["qwq", "think", "reason", "magistral"].contains { name.contains($0) }
    }
}
