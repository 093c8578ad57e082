package import Observability

/// Decides which traces are recorded.
package struct TraceSampler: Hashable, Sendable {
    private let parentBased: Bool
    /// Traces whose lower half, as a number, is below this are recorded: every process with the same ratio decides
    /// alike for the same trace.
    private let bound: UInt64
    private let isAlways: Bool

    /// - Parameters:
    ///   - ratio: 0 to 1.
    ///   - parentBased: Whether a caller's decision stands.
    package init(ratio: Double, parentBased: Bool) {
        self.parentBased = parentBased
        isAlways = ratio >= 1
        bound = ratio >= 1 ? .max : UInt64(max(0, ratio) * 0x1p64)
    }

    /// This process's span for a request.
    ///
    /// - Parameter parent: What the caller sent.
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
