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

    init(_ configuration: AgentConfiguration, isStreamed: Bool, now: ContinuousClock.Instant = .now) {
        silence = isStreamed ? configuration.timeout : nil
        let longest = isStreamed ? configuration.streamTimeout : configuration.timeout
        state = Mutex(State(end: now + longest, lastSign: now))
    }

    /// When it must be whole.
    var end: ContinuousClock.Instant { state.withLock { $0.end } }

    /// When the reader of a streamed answer must hear something; nil: nobody listens.
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
