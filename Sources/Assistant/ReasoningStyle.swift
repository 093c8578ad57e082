/// Form in which a provider's model marks its reasoning; decides how much of a stream is held back.
enum ReasoningStyle: Hashable, Sendable {
    /// The form is not known: the beginning of the first stream is held back for a moment.
    case unknown
    /// Answers begin at once, or their reasoning is marked at both ends. Only text that arrives together is checked
    /// before it is passed on.
    case plain
    /// Reasoning has an end but no beginning, which is in the server's prompt: streams are held back until that end.
    case unopened

    /// Time for which the beginning of a stream is held back while the form is not known.
    static let grace = Duration.milliseconds(100)

    /// Creates the form from the configuration, or from the model's name.
    init(_ configuration: ProviderConfiguration) {
        switch configuration.reasoning {
        case .plain: self = .plain
        case .unopened: self = .unopened
        case .detect: self = Self.isReasoner(configuration.model) ? .unopened : .unknown
        }
    }

    /// Largest number of bytes of a stream that are held back.
    var holdLimit: Int {
        switch self {
        case .unknown, .plain: 4 << 10
        case .unopened: 256 << 10
        }
    }

    /// Updates the form with an answer.
    mutating func learn(_ reply: ModelReply, _ configuration: ProviderConfiguration) {
        guard configuration.reasoning == .detect, !reply.text.isEmpty else { return }
        self = reply.hadUnopenedReasoning ? .unopened : .plain
    }

    /// Stops holding back the beginnings of streams, after it was in vain: long reasoning is recognised at its end.
    mutating func graceEnded() {
        if self == .unknown { self = .plain }
    }

    /// Returns whether a model is known by its name to reason before it answers.
    private static func isReasoner(_ model: String) -> Bool {
        let name = model.lowercased()
        let words = name.split { !$0.isLetter && !$0.isNumber }
        return words.contains("r1") || ["qwq", "think", "reason", "magistral"].contains { name.contains($0) }
    }
}
