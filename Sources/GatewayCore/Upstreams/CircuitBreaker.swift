import NIOCore

/// State machine that rejects calls of an unreachable server at once, instead of letting each wait for its own failure.
/// No clock and no I/O.
///
/// ```
/// closed ─failures in a row─▶ open ─pause over, or a check succeeded─▶ trying ─reached─▶ closed
///                               ▲─────────────── not reached ────────────┘
/// ```
struct CircuitBreaker {
    struct Policy: Hashable, Sendable {
        /// Number of consecutive failures to reach the server that open the breaker; 0: it never opens.
        var failures: Int
        /// Time that the breaker stays open before one call is let through.
        var pause: TimeAmount
    }

    /// Evidence that a call gives about its server.
    enum Verdict {
        /// The server answered, with success or error.
        case reached
        case unreachable
        /// No evidence, such as from a client that left.
        case unknown
    }

    private enum State {
        case closed(failures: Int)
        case open(since: NIODeadline)
        /// One trial call is under way.
        case trying(since: NIODeadline)
    }

    /// State as operators see it; the raw value is the metric's.
    enum Phase: Int {
        case closed = 0
        case halfOpen = 1
        case open = 2
    }

    private let policy: Policy
    private var state = State.closed(failures: 0)

    init(_ policy: Policy) {
        self.policy = policy
    }

    var phase: Phase {
        switch state {
        case .closed: .closed
        case .trying: .halfOpen
        case .open: .open
        }
    }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Returns whether a call may be sent to the server now.
    /// - Parameter proven: Time at which a check last reached the server.
    func allows(now: NIODeadline, proven: NIODeadline?) -> Bool {
        switch state {
        case .closed: true
        case .open(let since): now >= since + policy.pause || proven.map { $0 > since } == true
        case .trying: false
        }
    }

    /// Begins a call that `allows` permitted.
    mutating func begin(now: NIODeadline) {
        if case .open = state { state = .trying(since: now) }
    }

    mutating func end(_ verdict: Verdict, now: NIODeadline) {
        switch (state, verdict) {
        case (.trying, .unknown):
            // The trial gave no evidence: the next call is the trial, without another pause.
            state = .open(since: now - policy.pause)
        case (_, .unknown):
            break
        case (_, .reached):
            state = .closed(failures: 0)
        case (.closed(let failures), .unreachable):
            let isTooMany = policy.failures > 0 && failures + 1 >= policy.failures
            state = isTooMany ? .open(since: now) : .closed(failures: failures + 1)
        case (.trying, .unreachable):
            state = .open(since: now)
        case (.open, .unreachable):
            // The call began before the breaker opened.
            break
        }
    }
}
