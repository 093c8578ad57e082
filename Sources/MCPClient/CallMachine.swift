import JSON
import MCP
import NIOCore

/// State machine of one call from its start to its only outcome: connection, sending, recovery, deadline, cancellation.
/// No I/O and no clock: each input gives one action, and the driver reports back.
///
/// Recovery is safe. A call is repeated only when the server refused the message as a whole (a stale session, the wrong
/// era), when no byte of it was sent, or, a few times, when the tool is idempotent by its own annotation.
struct CallMachine {
    struct Policy {
        var deadline: NIODeadline
        /// Longest silence, also before the request is sent; progress restarts it.
        var idleTimeout: TimeAmount?
        /// Number of times that a call that may have run is repeated: zero unless its tool is annotated as read-only or
        /// idempotent by an upstream that is trusted.
        var replays = 0
        /// Number of repetitions left for this and all other servers to which the call may be sent.
        var replaysLeft = 0
        /// True if arguments of the call may have to be sent as headers, as the tool's definition says.
        var mirrorsArguments = false
        /// True if the caller can answer `input_required` itself.
        var takesInputRequests = false
        var backoff: Backoff
    }

    enum Action {
        case none
        /// Request a connection from the pool; return the held one first, marked as stale where given.
        case acquire(discarding: UpstreamConnection?)
        /// Send the request with a new id.
        case send(UpstreamConnection)
        /// Store the new endpoint, then send the request with a new id.
        case follow(UpstreamConnection)
        /// Check with a `ping` whether the server still knows the session.
        case verify(UpstreamConnection)
        /// Decline the tool's questions to its user, and repeat the call with the declines.
        case decline(UpstreamConnection, message: ByteBuffer, result: JSONSlice)
        /// List the tools again: the header annotations that this call used may be out of date.
        case relist
        case wait(until: NIODeadline)
        case finish(MCPCallOutcome, abandoned: UpstreamConnection?)
    }

    private enum State {
        case idle
        /// Waiting for a connection; the failure is reported unless the new connection differs from the refused one.
        case acquiring(doubt: (UpstreamConnection, MCPCallError)?)
        case exchanging(UpstreamConnection)
        /// Waiting for the list of tools; the failure is reported if the new list changes nothing.
        case relisting(UpstreamConnection, MCPCallError)
        /// Waiting for the `ping`; the failure is reported if the session is valid.
        case verifying(UpstreamConnection, MCPCallError)
        case declining(UpstreamConnection)
        case pausing(UpstreamConnection?)
        case finished
    }

    private var policy: Policy
    private var state = State.idle
    private var executed = MCPExecuted.no
    /// Number of attempts after which the tool may have run.
    private var runs = 0
    private var timings = MCPCallTimings()
    private var mark = NIODeadline.uptimeNanoseconds(0)
    private var lastSign = NIODeadline.uptimeNanoseconds(0)
    private var sends = 0
    private var sessionReused = true
    private var renewed = false
    private var reprobed = false
    private var declines = 0
    /// True if a question of the tool to its user was declined without the user.
    private var hasDeclined = false
    /// Number of questions that wait for the user: while there are any, the deadlines rest.
    private var openQuestions = 0
    /// A connection that the server no longer knows, to be removed from the pool when the call is over.
    private(set) var stale: UpstreamConnection?
    private var redirected = false
    private var relisted = false

    /// Largest number of rounds of questions that are declined before the call fails.
    private static let maximumDeclines = 4

    init(policy: Policy) {
        self.policy = policy
    }

    var isFinished: Bool { if case .finished = state { true } else { false } }

    /// Time at which the driver must call `expired`.
    var expiry: NIODeadline {
        if openQuestions > 0 { return .distantFuture }
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

    /// - Parameter waited: True if the connection was not available at once.
    mutating func connected(_ connection: UpstreamConnection, waited: Bool, now: NIODeadline) -> Action {
        guard case .acquiring(let doubt) = state else { return .none }
        account(now)
        if waited { sessionReused = false }
        if now >= policy.deadline { return expire(now) }
        if let (refused, failure) = doubt, !connection.differs(from: refused) { return fail(failure, now) }
        return send(connection, now)
    }

    mutating func connectionFailed(_ failure: HandshakeError, now: NIODeadline) -> Action {
        guard case .acquiring(let doubt) = state else { return .none }
        // The handshake has retried refused connections while this call waited: one window counts for both.
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

    /// Continues after the pause of `wait`.
    mutating func resumed(now: NIODeadline) -> Action {
        guard case .pausing(let connection) = state else { return .none }
        account(now)
        if now >= policy.deadline { return expire(now) }
        if let connection { return send(connection, now) }
        state = .acquiring(doubt: nil)
        return .acquire(discarding: nil)
    }

    /// Records a notification of this call.
    mutating func progressed(now: NIODeadline) {
        lastSign = now
    }

    /// Records that a question of the tool to its user is declined without the user.
    mutating func noteDecline() { hasDeclined = true }

    /// Lets the deadlines rest: a question of the server waits for the user.
    mutating func asked(now: NIODeadline) {
        if openQuestions == 0 { account(now) }
        openQuestions += 1
    }

    /// Lets the deadlines run again once every question is answered. The user's time does not count as the upstream's.
    mutating func questionAnswered(now: NIODeadline, deadline: NIODeadline, idleTimeout: TimeAmount?) {
        openQuestions -= 1
        policy.deadline = deadline
        policy.idleTimeout = idleTimeout
        mark = now
        lastSign = now
    }

    mutating func answered(_ answer: MessageResponse, now: NIODeadline) -> Action {
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
        _ connection: UpstreamConnection, doubt: (UpstreamConnection, MCPCallError)?
    ) -> Action {
        renewed = true
        state = .acquiring(doubt: doubt)
        return .acquire(discarding: connection)
    }

    /// Handles a lost session where it is not known whether the call ran: only an idempotent call is repeated.
    private mutating func lost(
        _ connection: UpstreamConnection, _ failure: MCPCallError, _ now: NIODeadline
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

    /// Handles the answer to the `ping` of `verify`.
    mutating func verified(isKnown: Bool, now: NIODeadline) -> Action {
        guard case .verifying(let connection, let failure) = state else { return .none }
        account(now)
        return isKnown ? fail(failure, now) : lost(connection, failure, now)
    }

    /// Continues after the questions of `decline` were declined, or cannot be.
    mutating func declined(_ isPossible: Bool, now: NIODeadline) -> Action {
        guard case .declining(let connection) = state else { return .none }
        if now >= policy.deadline { return expire(now) }
        if isPossible { return send(connection, now) }
        return fail(
            MCPCallError(
                kind: .rejected, status: 200, executed: .unknown,
                detail: "the tool asks for input, which this client cannot give"), now)
    }

    /// Continues after the tools were listed again.
    /// - Parameter changed: True if the call's headers will differ from the refused ones.
    mutating func relisted(changed: Bool, now: NIODeadline) -> Action {
        guard case .relisting(let connection, let failure) = state else { return .none }
        account(now)
        if now >= policy.deadline { return expire(now) }
        return changed ? send(connection, now) : fail(failure, now)
    }

    mutating func failed(_ failure: TransportError, now: NIODeadline) -> Action {
        guard case .exchanging(let connection) = state else { return .none }
        account(now)
        if failure.isRefusal {
            if let at = policy.backoff.next(now: now, deadline: policy.deadline) {
                state = .pausing(connection)
                // A server that went away after the session was renewed comes back without that session: a 404 then is
                // a new failure, and still proves that the call did not run.
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

    /// Ends the call if its deadline or its longest silence has passed.
    mutating func expired(now: NIODeadline) -> Action {
        if isFinished || now < expiry { return .none }
        return expire(now)
    }

    /// Ends the call because the server violated a rule on its stream, so that the answer is lost.
    mutating func violated(_ detail: String, now: NIODeadline) -> Action {
        guard case .exchanging(let connection) = state else { return .none }
        account(now)
        executed = .unknown
        return fail(
            MCPCallError(kind: .invalid, executed: .unknown, detail: detail), now, abandoned: connection)
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

    private mutating func give(up kind: MCPCallError.Kind, _ detail: String, _ now: NIODeadline) -> Action {
        var abandoned: UpstreamConnection?
        account(now)
        if case .verifying(_, let failure) = state { return fail(failure, now) }
        if case .exchanging(let connection) = state {
            executed = .unknown
            abandoned = connection
        }
        return fail(MCPCallError(kind: kind, executed: executed, detail: detail), now, abandoned: abandoned)
    }

    private mutating func succeed(
        _ answer: MessageResponse, _ connection: UpstreamConnection, _ now: NIODeadline
    ) -> Action {
        guard case .result(let message, let result) = answer.content else { return .none }
        var asks = false
        if connection.era == .modern {
            switch answer.resultType ?? MessageScanner.resultType(of: result, in: message) {
            case .complete: break
            case .inputRequired where policy.takesInputRequests: asks = true
            case .inputRequired: return decline(message, result, connection, now)
            case .unknown:
                return fail(
                    MCPCallError(kind: .invalid, status: 200, executed: .yes, detail: "unknown resultType"), now)
            }
        }
        state = .finished
        var outcome = MCPCallResult(
            message: message, result: result, setCookies: answer.setCookies, timings: timings,
            replays: max(0, sends - 1), era: connection.era, sessionReused: sessionReused)
        outcome.reservation = answer.reservation
        outcome.asks = asks
        outcome.hasDeclined = hasDeclined
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
        _ failure: MCPCallError, _ now: NIODeadline, abandoned: UpstreamConnection? = nil
    ) -> Action {
        state = .finished
        var failure = failure
        // If an earlier attempt may have run the tool, a later one that did not cannot change that.
        if failure.executed == .no { failure.executed = executed }
        failure.timings = timings
        failure.replays = max(0, sends - 1)
        failure.sessionReused = sessionReused
        failure.runs = runs
        failure.hasDeclined = hasDeclined
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
