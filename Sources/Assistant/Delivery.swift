import Synchronization

/// Delivery of an answer's pieces to the caller. It records whether a piece was delivered: then nothing can be taken
/// back.
final class Delivery: Sendable {
    private let onDelta: ResponseDelta?
    private let begun = Atomic(false)

    /// Creates a delivery; nil: the caller wants the answer in one piece.
    init(_ onDelta: ResponseDelta?) { self.onDelta = onDelta }

    /// True if the caller wants pieces.
    var isWanted: Bool { onDelta != nil }
    /// True if a piece has been passed on.
    var hasBegun: Bool { begun.load(ordering: .relaxed) }

    /// Passes a piece on.
    func pass(_ text: String) async {
        guard let onDelta else { return }
        begun.store(true, ordering: .relaxed)
        await onDelta(text)
    }

    /// Tells the caller that the work continues.
    func sign() async { await onDelta?("") }
}
