import Synchronization

/// Time limit of one answer.
///
/// A complete answer must be there when the time ends. A streamed one may take much longer, as long as its reader keeps
/// getting something.
final class ResponseDeadline: Sendable {
    private struct State {
        var end: ContinuousClock.Instant
        var lastSign: ContinuousClock.Instant
    }

    private let silence: Duration?
    private let state: Mutex<State>

    /// Starts the time of an answer.
    init(_ configuration: AgentConfiguration, isStreamed: Bool, now: ContinuousClock.Instant = .now) {
        silence = isStreamed ? configuration.timeout : nil
        let longest = isStreamed ? configuration.streamTimeout : configuration.timeout
        state = Mutex(State(end: now + longest, lastSign: now))
    }

    /// Instant at which the answer must be complete.
    var end: ContinuousClock.Instant { state.withLock { $0.end } }

    /// Instant by which the reader of a streamed answer must get something; nil for an answer in one piece.
    var nextSign: ContinuousClock.Instant? {
        guard let silence else { return nil }
        return state.withLock { $0.lastSign } + silence
    }

    /// Earlier of both instants.
    var limit: ContinuousClock.Instant { min(end, nextSign ?? end) }

    /// Records that the reader got something.
    func sign(_ now: ContinuousClock.Instant = .now) { state.withLock { $0.lastSign = now } }

    /// Extends the time by a pause during which people were asked.
    func exclude(_ pause: Duration) {
        state.withLock { state in
            state.end += pause
            state.lastSign += pause
        }
    }
}
