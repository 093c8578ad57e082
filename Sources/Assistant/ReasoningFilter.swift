/// Keeps a model's reasoning out of its answer: local servers often leave it at the beginning of the text, between
/// `<think>` and `</think>`, instead of in a field of its own.
struct ReasoningFilter {
    private static let opening = "<think>"
    private static let closing = "</think>"

    private enum State {
        /// So far only what could still become the opening mark.
        case undecided
        case reasoning
        /// The reasoning is over; the space after it goes with it.
        case afterReasoning
        case answer
    }

    private var state = State.undecided
    private var pending = ""

    /// Takes a piece of the text; returns what of it (and of what was held back) belongs to the answer.
    mutating func feed(_ piece: String) -> String {
        if case .answer = state { return piece }
        pending += piece
        if case .undecided = state {
            let start = pending.drop(while: \.isWhitespace)
            if start.hasPrefix(Self.opening) {
                state = .reasoning
                pending = String(start.dropFirst(Self.opening.count))
            } else if Self.opening.hasPrefix(start) {
                return ""
            } else {
                state = .answer
                return release()
            }
        }
        if case .reasoning = state {
            guard let end = pending.firstRange(of: Self.closing) else {
                // Only the end of what is held back can be the beginning of the closing mark.
                pending = String(pending.suffix(Self.closing.count))
                return ""
            }
            pending = String(pending[end.upperBound...])
            state = .afterReasoning
        }
        pending = String(pending.drop(while: \.isWhitespace))
        guard !pending.isEmpty else { return "" }
        state = .answer
        return release()
    }

    /// What is still held back when the text has ended. Reasoning without an end is no answer.
    mutating func finish() -> String {
        guard case .undecided = state else { return "" }
        state = .answer
        return release()
    }

    private mutating func release() -> String {
        defer { pending = "" }
        return pending
    }
}
