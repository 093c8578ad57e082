import NIOCore

/// Keeps calls from a server that cannot be reached, so that they fail at once instead of each finding out in its own
/// time. No clock and no I/O.
///
/// ```
/// closed ─failures in a row─▶ open ─pause over, or a check succeeded─▶ trying ─reached─▶ closed
///                               ▲─────────────── not reached ────────────┘
/// ```
struct CircuitBreaker {
    struct Policy: Hashable, Sendable {
        /// Calls in a row that did not reach the server; 0: the breaker never opens.
        var failures: Int
        /// How long it stays open before one call is let through.
        var pause: TimeAmount
    }

    /// What a call says about its server.
    enum Verdict {
        /// It answered, whatever it said.
        case reached
        case unreachable
        /// Nothing, such as a client that left.
        case unknown
    }

    private enum State {
        case closed(failures: Int)
        case open(since: NIODeadline)
        /// One call is under way to find out.
        case trying(since: NIODeadline)
    }

    /// The state as operators see it; the value is the metric's.
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

    /// Whether a call may go to the server now.
    /// - Parameter proven: when a check last reached it.
    func allows(now: NIODeadline, proven: NIODeadline?) -> Bool {
        switch state {
        case .closed: true
        case .open(let since): now >= since + policy.pause || proven.map { $0 > since } == true
        case .trying: false
        }
    }

    /// A call that `allows` let through begins.
    mutating func begin(now: NIODeadline) {
        if case .open = state { state = .trying(since: now) }
    }

    mutating func end(_ verdict: Verdict, now: NIODeadline) {
        switch (state, verdict) {
        case (.trying, .unknown):
            // As good as no trial: the next call is one. The pause is over all the same.
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
            // A call that began before it opened.
            break
        }
    }
}
