/// Filter that separates a model's reasoning from its answer, where a server leaves it at the beginning of the text
/// instead of in a field of its own: `<think>…</think>` and the marks of other models.
///
/// Some servers send the end of the reasoning without its beginning, which is in their prompt. Text is therefore held
/// back up to a limit, until such an end is found. Each byte is searched once, however small the pieces are.
struct ReasoningFilter {
    /// Marks that models put around their reasoning.
    private struct Marks {
        let opening: [UInt8]
        let closing: [UInt8]

        init(_ opening: String, _ closing: String) {
            self.opening = Array(opening.utf8)
            self.closing = Array(closing.utf8)
        }
    }

    private static let marks = [
        Marks("<think>", "</think>"), Marks("<thinking>", "</thinking>"), Marks("<thought>", "</thought>"),
        Marks("<reasoning>", "</reasoning>"), Marks("<seed:think>", "</seed:think>"), Marks("[THINK]", "[/THINK]"),
        Marks("◁think▷", "◁/think▷"),
    ]
    private static let firstBytes = Set(marks.flatMap { [$0.opening[0], $0.closing[0]] })
    private static let longestMark = marks.map { max($0.opening.count, $0.closing.count) }.max() ?? 0

    private enum State {
        /// Only white space so far, or the beginning of an opening mark.
        case undecided
        /// Between the marks; the value is the closing one.
        case reasoning(closing: [UInt8])
        /// After the reasoning; the white space that follows it is dropped.
        case afterReasoning
        /// Without an opening mark, but a closing one may still come.
        case held
        case answer
    }

    private var state = State.undecided
    private var pending: [UInt8] = []
    /// Number of bytes of `pending` that have been searched.
    private var scanned = 0
    private let holdLimit: Int

    /// True if reasoning with an end but no beginning was found.
    private(set) var foundUnopened = false
    /// True if reasoning between its marks was found.
    private(set) var foundOpened = false

    /// Creates a filter.
    /// - Parameter holdLimit: Largest number of bytes of text without an opening mark that are held back; 0: none.
    init(holdLimit: Int = 0) { self.holdLimit = holdLimit }

    /// Returns the answer in a complete text, and whether reasoning without a beginning was removed from it.
    static func answer(in text: String) -> (text: String, foundUnopened: Bool) {
        var filter = ReasoningFilter(holdLimit: .max)
        let answer = filter.feed(text) + filter.finish()
        return (answer, filter.foundUnopened)
    }

    /// True if text is held back that may be an answer.
    var isHolding: Bool {
        if case .held = state { return !pending.isEmpty }
        return false
    }

    /// Takes a piece of the text; returns the part of it, and of the text held back, that belongs to the answer.
    mutating func feed(_ piece: String) -> String {
        if case .answer = state { return piece }
        pending += piece.utf8
        if case .undecided = state { decide() }
        if case .held = state { searchUnopenedEnd() }
        if case .reasoning(let closing) = state { searchEnd(closing) }
        if case .afterReasoning = state { skipWhiteSpace() }
        if case .answer = state { return taken() }
        return ""
    }

    /// Returns the held back text that may be an answer, and holds nothing back any more.
    mutating func release() -> String {
        guard isHolding else { return "" }
        state = .answer
        return taken()
    }

    /// Returns the text that is still held back at the end. Reasoning without an end is not an answer.
    mutating func finish() -> String {
        defer { state = .answer }
        switch state {
        case .undecided, .held: return taken()
        case .reasoning, .afterReasoning, .answer: return ""
        }
    }

    // MARK: States

    private mutating func decide() {
        while scanned < pending.count, Self.isWhiteSpace(pending[scanned]) { scanned += 1 }
        let rest = pending[scanned...]
        guard !rest.isEmpty else { return }
        if let marks = Self.marks.first(where: { rest.starts(with: $0.opening) }) {
            foundOpened = true
            drop(scanned + marks.opening.count)
            state = .reasoning(closing: marks.closing)
        } else if !Self.marks.contains(where: { $0.opening.starts(with: rest) }) {
            state = .held
        }
    }

    private mutating func searchUnopenedEnd() {
        while scanned < pending.count {
            guard Self.firstBytes.contains(pending[scanned]) else {
                scanned += 1
                continue
            }
            let rest = pending[scanned...].prefix(Self.longestMark)
            if let marks = Self.marks.first(where: { rest.starts(with: $0.closing) }), !isQuoted(scanned) {
                foundUnopened = true
                drop(scanned + marks.closing.count)
                state = .afterReasoning
                return
            }
            if Self.marks.contains(where: { rest.starts(with: $0.opening) }) {
                state = .answer
                return
            }
            // The end of the text may be the beginning of a mark.
            if scanned + Self.longestMark > pending.count,
                Self.marks.contains(where: { $0.closing.starts(with: rest) || $0.opening.starts(with: rest) })
            {
                break
            }
            scanned += 1
        }
        if pending.count > holdLimit { state = .answer }
    }

    /// Returns whether a mark is only mentioned: it follows a quotation mark or a backtick.
    private func isQuoted(_ position: Int) -> Bool {
        position > 0 && "`'\"".utf8.contains(pending[position - 1])
    }

    private mutating func searchEnd(_ closing: [UInt8]) {
        while scanned < pending.count {
            let rest = pending[scanned...].prefix(closing.count)
            if rest.elementsEqual(closing) {
                drop(scanned + closing.count)
                state = .afterReasoning
                return
            }
            if rest.count < closing.count, closing.starts(with: rest) { break }
            scanned += 1
        }
        // The bytes that were searched are not needed any more.
        drop(scanned)
    }

    private mutating func skipWhiteSpace() {
        let start = pending.firstIndex { !Self.isWhiteSpace($0) } ?? pending.count
        drop(start)
        if !pending.isEmpty { state = .answer }
    }

    private mutating func drop(_ count: Int) {
        pending.removeFirst(count)
        scanned = 0
    }

    private mutating func taken() -> String {
        defer {
            pending = []
            scanned = 0
        }
        return String(decoding: pending, as: UTF8.self)
    }

    private static func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
