/// Meaning of a provider's `finish_reason`. The names differ from provider to provider, and so does their case.
enum FinishReason: Hashable, Sendable {
    /// The model said all that it wanted to say.
    case complete
    /// The answer reached a length limit.
    case lengthLimit
    /// The provider ended the answer early.
    case interrupted
    /// The provider's filter, or the model itself, stopped the answer.
    case filtered
    /// The provider failed.
    case failed

    private static let whole: Set<String> = [
        "stop", "stop_sequence", "stop_token", "eos", "eos_token", "end_turn", "end", "complete", "completed",
        "finished", "done", "tool_calls", "tool_call", "tool_use", "function_call",
    ]
    /// Parts of names; the first match counts.
    private static let parts: [(part: String, reason: FinishReason)] = [
        ("filter", .filtered), ("safety", .filtered), ("guardrail", .filtered), ("blocklist", .filtered),
        ("prohibited", .filtered), ("recitation", .filtered), ("spii", .filtered), ("toxic", .filtered),
        ("sensitive", .filtered), ("moderation", .filtered), ("refusal", .filtered), ("policy", .filtered),
        ("error", .failed), ("fail", .failed), ("malformed", .failed),
        ("length", .lengthLimit), ("token", .lengthLimit), ("context_window", .lengthLimit), ("limit", .lengthLimit),
        ("resource", .interrupted), ("abort", .interrupted), ("cancel", .interrupted), ("timeout", .interrupted),
        ("interrupt", .interrupted), ("overload", .interrupted), ("unavailable", .interrupted),
        ("incomplete", .interrupted), ("pause_turn", .interrupted),
    ]

    /// Reads a reason; nil when there is none: absent, null, empty, not a text. An unknown reason counts as a complete
    /// answer.
    init?(_ value: String?) {
        let name = (value ?? "").prefix(64).lowercased().filter { !$0.isWhitespace }
        guard !name.isEmpty, name != "null", name != "none" else { return nil }
        guard !Self.whole.contains(name) else {
            self = .complete
            return
        }
        self = Self.parts.first { name.contains($0.part) }?.reason ?? .complete
    }

    /// Text after an incomplete answer, so that a part is not mistaken for the whole.
    var notice: String {
        switch self {
        case .complete, .filtered, .failed: ""
        case .lengthLimit: ChatCompletion.truncationNotice
        case .interrupted: "\n\n[The answer was cut off: the provider ended it before it was complete.]"
        }
    }
}
