import Synchronization

/// Way of an answer's pieces to the caller. Remembers whether there was one: from then on nothing can be taken back.
final class Delivery: Sendable {
    private let onDelta: AnswerDelta?
    private let begun = Atomic(false)

    /// Makes a delivery; nil: the caller wants the answer whole.
    init(_ onDelta: AnswerDelta?) { self.onDelta = onDelta }

    /// Indicates whether the caller wants pieces.
    var isWanted: Bool { onDelta != nil }
    /// Indicates whether a piece has been passed on.
    var hasBegun: Bool { begun.load(ordering: .relaxed) }

    /// Passes a piece on.
    func pass(_ text: String) async {
        guard let onDelta else { return }
        begun.store(true, ordering: .relaxed)
        await onDelta(text)
    }

    /// Tells the caller that the work goes on.
    func sign() async { await onDelta?("") }
}
