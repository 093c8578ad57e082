import JSON
import MCP
import NIOCore

/// One call from its start to its only outcome: connection, sending, recovery, deadline, cancellation. No I/O and no
/// clock: each input gives one action, and the driver reports back.
///
/// Recovery is provably safe. A call is sent again only when the server refused the message as a whole (a stale session,
/// the wrong era), when no byte of it left, or, a few times, when the tool may run twice by its own annotation.
struct CallMachine {
    struct Policy {
        var deadline: NIODeadline
        /// Longest silence, also before the request is sent; progress begins it anew.
        var idleTimeout: TimeAmount?
        /// Number of times that a call that may have run is sent again: zero unless its tool is annotated as read-only or
        /// idempotent by an upstream that is trusted.
        var replays = 0
        /// The same for this and all other servers that may be given the call.
        var replaysLeft = 0
        /// Arguments of the call may have to travel as headers, as the tool's definition says.
        var mirrorsArguments = false
        /// The caller can answer `input_required` itself.
        var takesInputRequests = false
        var backoff: Backoff
    }

    enum Action {
        case none
        /// Ask the pool; give back the held connection first, as stale where that is said.
        case acquire(discarding: UpstreamConnection?)
        /// Send with a new id.
        case send(UpstreamConnection)
        /// Remember the new endpoint, then send with a new id.
        case follow(UpstreamConnection)
        /// Ask with a `ping` whether the server still knows the session.
        case verify(UpstreamConnection)
        /// Decline what the tool asks its user, and send the call again with that.
        case decline(UpstreamConnection, message: ByteBuffer, result: JSONSlice)
        /// List the tools anew: the header annotations that this call went by may be out of date.
        case relist
        case wait(until: NIODeadline)
        case finish(MCPCallOutcome, abandoned: UpstreamConnection?)
    }

    private enum State {
        case idle
        /// With what to report unless the new connection differs from the one that was refused.
        case acquiring(doubt: (UpstreamConnection, MCPCallFailure)?)
        case exchanging(UpstreamConnection)
        /// With what to report if the new list changes nothing.
        case relisting(UpstreamConnection, MCPCallFailure)
        /// With what to report when the session proves good.
        case verifying(UpstreamConnection, MCPCallFailure)
        case declining(UpstreamConnection)
        case pausing(UpstreamConnection?)
        case finished
    }

    private var policy: Policy
    private var state = State.idle
    private var executed = MCPExecuted.no
    /// Sendings after which the tool may have run.
    private var runs = 0
    private var timings = MCPCallTimings()
    private var mark = NIODeadline.uptimeNanoseconds(0)
    private var lastSign = NIODeadline.uptimeNanoseconds(0)
    private var sends = 0
    private var sessionReused = true
    private var renewed = false
    private var reprobed = false
    private var declines = 0
    /// A connection that the server no longer knows, for the pool to forget when the call is over.
    private(set) var stale: UpstreamConnection?
    private var redirected = false
    private var relisted = false

    /// Rounds of questions that are declined before the call is given up.
    private static let maximumDeclines = 4

    init(policy: Policy) {
        self.policy = policy
    }

    var isFinished: Bool { if case .finished = state { true } else { false } }

    /// Time at which the driver has to call `expired`.
    var expiry: NIODeadline {
        guard let idle = policy.idleTimeout else { return policy.deadline }
        return min(policy.deadline, lastSign + idle)
    }

    mutating func start(now: NIODeadline) -> Action {
        mark = now
        lastSign = now
        if now >= policy.deadline { return expire(now) }
        state = .acquiring(doubt: nil)
        return .acquire(discarding: nil)
    }

    /// - Parameter waited: the connection was not there yet.
    mutating func connected(_ connection: UpstreamConnection, waited: Bool, now: NIODeadline) -> Action {
        guard case .acquiring(let doubt) = state else { return .none }
        account(now)
        if waited { sessionReused = false }
        if now >= policy.deadline { return expire(now) }
        if let (refused, failure) = doubt, !connection.differs(from: refused) { return fail(failure, now) }
        return send(connection, now)
    }

    mutating func connectionFailed(_ failure: HandshakeFailure, now: NIODeadline) -> Action {
        guard case .acquiring(let doubt) = state else { return .none }
        // The handshake has retried refused connections while this call waited: one window serves both.
        let waitingSince = mark
        account(now)
        sessionReused = false
        if let doubt { return fail(doubt.1, now) }
        if failure.forgetsEra, !reprobed {
            reprobed = true
            return .acquire(discarding: nil)
        }
        if failure.isRefusal {
            policy.backoff.began(waitingSince)
            if let at = policy.backoff.next(now: now, deadline: policy.deadline) {
                state = .pausing(nil)
                return .wait(until: at)
            }
        }
        return fail(failure.failure, now)
    }

    /// The pause that `wait` asked for is over.
    mutating func resumed(now: NIODeadline) -> Action {
        guard case .pausing(let connection) = state else { return .none }
        account(now)
        if now >= policy.deadline { return expire(now) }
        if let connection { return send(connection, now) }
        state = .acquiring(doubt: nil)
        return .acquire(discarding: nil)
    }

    /// A notification of this call arrived.
    mutating func progressed(now: NIODeadline) {
        lastSign = now
    }

    mutating func answered(_ answer: ExchangeAnswer, now: NIODeadline) -> Action {
        guard case .exchanging(let connection) = state else { return .none }
        account(now)
        timings.connect = answer.connect
        timings.firstByte = answer.firstByte
        if answer.status == 307 || answer.status == 308, !redirected, let location = answer.location,
            let target = Redirect.target(location, from: connection.url)
        {
            redirected = true
            let moved = connection.moved(to: target)
            state = .exchanging(moved)
            return .follow(moved)
        }
        guard let failure = answer.failure else { return succeed(answer, connection, now) }
        // The server checks headers before it runs anything (2026-07-28, custom headers), so the call did not run.
        if answer.rpcError?.knownCode == .headerMismatch, connection.era == .modern, policy.mirrorsArguments,
            !relisted, now < policy.deadline
        {
            relisted = true
            state = .relisting(connection, failure)
            return .relist
        }
        switch ConnectionDoubt(answer, over: connection) {
        case .none: return fail(failure, now)
        case .lost where !renewed:
            return renew(connection, doubt: nil)
        case .perhaps where !renewed:
            return renew(connection, doubt: (connection, failure))
        case .told:
            return lost(connection, failure, now)
        case .suspected where now < policy.deadline:
            state = .verifying(connection, failure)
            return .verify(connection)
        case .lost, .perhaps, .suspected:
            return fail(failure, now)
        }
    }

    private mutating func renew(
        _ connection: UpstreamConnection, doubt: (UpstreamConnection, MCPCallFailure)?
    ) -> Action {
        renewed = true
        state = .acquiring(doubt: doubt)
        return .acquire(discarding: connection)
    }

    /// The session is gone, and whether the call ran before that is not known: only one that may run twice is sent again.
    private mutating func lost(
        _ connection: UpstreamConnection, _ failure: MCPCallFailure, _ now: NIODeadline
    ) -> Action {
        if failure.executed != .no {
            executed = .unknown
            runs += 1
        }
        guard !renewed, policy.replays > 0, runs <= policy.replays, now < policy.deadline else {
            stale = connection
            return fail(failure, now)
        }
        return renew(connection, doubt: nil)
    }

    /// The `ping` that `verify` asked for has its answer.
    mutating func verified(isKnown: Bool, now: NIODeadline) -> Action {
        guard case .verifying(let connection, let failure) = state else { return .none }
        account(now)
        return isKnown ? fail(failure, now) : lost(connection, failure, now)
    }

    /// The questions that `decline` named are declined, or cannot be.
    mutating func declined(_ isPossible: Bool, now: NIODeadline) -> Action {
        guard case .declining(let connection) = state else { return .none }
        if now >= policy.deadline { return expire(now) }
        if isPossible { return send(connection, now) }
        return fail(
            MCPCallFailure(
                kind: .rejected, status: 200, executed: .unknown,
                detail: "the tool asks for input, which this client cannot give"), now)
    }

    /// The tools were listed anew.
    /// - Parameter changed: the call's headers will differ from those that were refused.
    mutating func relisted(changed: Bool, now: NIODeadline) -> Action {
        guard case .relisting(let connection, let failure) = state else { return .none }
        account(now)
        if now >= policy.deadline { return expire(now) }
        return changed ? send(connection, now) : fail(failure, now)
    }

    mutating func failed(_ failure: TransportFailure, now: NIODeadline) -> Action {
        guard case .exchanging(let connection) = state else { return .none }
        account(now)
        if failure.isRefusal {
            if let at = policy.backoff.next(now: now, deadline: policy.deadline) {
                state = .pausing(connection)
                // A server that went away after the session was renewed, with its last breath perhaps, comes back
                // without it: a 404 then is news, and still proves that nothing ran.
                renewed = false
                return .wait(until: at)
            }
        } else if failure.sent {
            executed = .unknown
            runs += 1
            let transport = failure.kind == .broken || failure.kind == .refused || failure.kind == .garbled
            if transport, policy.replays > 0, runs <= policy.replays, now < policy.deadline {
                renewed = false
                return send(connection, now)
            }
        }
        let timedOut = failure.kind == .timedOut
        return fail(
            failure.failure(now: now, deadline: policy.deadline), now, abandoned: timedOut ? connection : nil)
    }

    /// The deadline, or the longest silence, may be over.
    mutating func expired(now: NIODeadline) -> Action {
        if isFinished || now < expiry { return .none }
        return expire(now)
    }

    /// The server broke a rule on the stream of the call, which ends without its answer.
    mutating func violated(_ detail: String, now: NIODeadline) -> Action {
        guard case .exchanging(let connection) = state else { return .none }
        account(now)
        executed = .unknown
        return fail(
            MCPCallFailure(kind: .invalid, executed: .unknown, detail: detail), now, abandoned: connection)
    }

    mutating func cancelled(now: NIODeadline) -> Action {
        if isFinished { return .none }
        return give(up: .cancelled, "cancelled by the caller", now)
    }

    // MARK: Inside

    private mutating func send(_ connection: UpstreamConnection, _ now: NIODeadline) -> Action {
        state = .exchanging(connection)
        sends += 1
        lastSign = now
        return .send(connection)
    }

    private mutating func expire(_ now: NIODeadline) -> Action {
        give(up: .timeout, "no answer in time", now)
    }

    private mutating func give(up kind: MCPCallFailure.Kind, _ detail: String, _ now: NIODeadline) -> Action {
        var abandoned: UpstreamConnection?
        account(now)
        if case .verifying(_, let failure) = state { return fail(failure, now) }
        if case .exchanging(let connection) = state {
            executed = .unknown
            abandoned = connection
        }
        return fail(MCPCallFailure(kind: kind, executed: executed, detail: detail), now, abandoned: abandoned)
    }

    private mutating func succeed(
        _ answer: ExchangeAnswer, _ connection: UpstreamConnection, _ now: NIODeadline
    ) -> Action {
        guard case .result(let message, let result) = answer.content else { return .none }
        if connection.era == .modern {
            switch AnswerScanner.resultType(of: result, in: message) {
            case .complete: break
            case .inputRequired where policy.takesInputRequests: break
            case .inputRequired: return decline(message, result, connection, now)
            case .unknown:
                return fail(
                    MCPCallFailure(kind: .invalid, status: 200, executed: .yes, detail: "unknown resultType"), now)
            }
        }
        state = .finished
        let outcome = MCPCallResult(
            message: message, result: result, setCookies: answer.setCookies, timings: timings,
            replays: max(0, sends - 1), era: connection.era, sessionReused: sessionReused)
        return .finish(.result(outcome), abandoned: nil)
    }

    private mutating func decline(
        _ message: ByteBuffer, _ result: JSONSlice, _ connection: UpstreamConnection, _ now: NIODeadline
    ) -> Action {
        executed = .unknown
        state = .declining(connection)
        declines += 1
        guard declines <= Self.maximumDeclines else { return declined(false, now: now) }
        return .decline(connection, message: message, result: result)
    }

    private mutating func fail(
        _ failure: MCPCallFailure, _ now: NIODeadline, abandoned: UpstreamConnection? = nil
    ) -> Action {
        state = .finished
        var failure = failure
        // An earlier try that may have run is not undone by a later one that did not.
        if failure.executed == .no { failure.executed = executed }
        failure.timings = timings
        failure.replays = max(0, sends - 1)
        failure.sessionReused = sessionReused
        failure.runs = runs
        failure.mayGoElsewhere =
            failure.kind == .unreachable
            && (failure.executed == .no || policy.replaysLeft > 0 && runs <= policy.replaysLeft)
        return .finish(.failure(failure), abandoned: abandoned)
    }

    private mutating func account(_ now: NIODeadline) {
        let passed = Duration.nanoseconds((now - mark).nanoseconds)
        if case .exchanging = state { timings.upstream += passed } else { timings.session += passed }
        mark = now
    }
}
