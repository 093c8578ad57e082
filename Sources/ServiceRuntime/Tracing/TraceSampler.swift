package import Observability

/// Selection of the traces that are recorded.
package struct TraceSampler: Hashable, Sendable {
    private let parentBased: Bool
    /// Upper bound for the lower half of a trace's id, as a number: every process with the same ratio makes the same
    /// decision for a trace.
    private let bound: UInt64
    private let isAlways: Bool

    /// - Parameters:
    ///   - ratio: Share of the traces, from 0 to 1.
    ///   - parentBased: True if the caller's decision is adopted.
    package init(ratio: Double, parentBased: Bool) {
        self.parentBased = parentBased
        isAlways = ratio >= 1
        bound = ratio >= 1 ? .max : UInt64(max(0, ratio) * 0x1p64)
    }

    /// Returns the context of this process's span for a request.
    ///
    /// - Parameter parent: Context that the caller sent.
    package func begin(_ parent: TraceContext?) -> TraceContext {
        guard let parent else {
            let new = TraceContext.new()
            return TraceContext(
                traceHigh: new.traceHigh, traceLow: new.traceLow, spanID: new.spanID, isSampled: isChosen(new))
        }
        let isSampled = parentBased ? parent.isSampled : isChosen(parent)
        return TraceContext(
            traceHigh: parent.traceHigh, traceLow: parent.traceLow, spanID: parent.child().spanID,
            isSampled: isSampled)
    }

    private func isChosen(_ trace: TraceContext) -> Bool { isAlways || trace.traceLow < bound }
}
