import Synchronization

/// The time that one answer may still take.
///
/// One that comes whole must be there at its end. A streamed one may go on for much longer, as long as its reader keeps
/// hearing something.
final class AnswerTime: Sendable {
    private struct State {
        var end: ContinuousClock.Instant
        var lastSign: ContinuousClock.Instant
    }

    private let silence: Duration?
    private let state: Mutex<State>

    /// Begins the time of an answer.
    init(_ configuration: AgentConfiguration, isStreamed: Bool, now: ContinuousClock.Instant = .now) {
        silence = isStreamed ? configuration.timeout : nil
        let longest = isStreamed ? configuration.streamTimeout : configuration.timeout
        state = Mutex(State(end: now + longest, lastSign: now))
    }

    /// Instant at which the answer must be whole.
    var end: ContinuousClock.Instant { state.withLock { $0.end } }

    /// Instant at which the reader of a streamed answer must hear something; nil for an answer that comes whole.
    var nextSign: ContinuousClock.Instant? {
        guard let silence else { return nil }
        return state.withLock { $0.lastSign } + silence
    }

    /// The nearer of both.
    var limit: ContinuousClock.Instant { min(end, nextSign ?? end) }

    /// The reader has heard something.
    func sign(_ now: ContinuousClock.Instant = .now) { state.withLock { $0.lastSign = now } }

    /// People took so long, and that does not count.
    func exclude(_ pause: Duration) {
        state.withLock { state in
            state.end += pause
            state.lastSign += pause
        }
    }
}
