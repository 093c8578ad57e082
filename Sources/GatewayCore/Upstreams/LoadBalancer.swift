import CurlTransport
import MCPClient
import NIOCore

/// Load balancer of one upstream for one worker: chooses a server, limits the calls in progress, queues further ones
/// for a while, and retries a call where that is safe. Confined to the worker's event loop.
final class LoadBalancer {
    let upstream: Upstream
    /// Endpoints in the order of the upstream's servers.
    let endpoints: [any Endpoint]
    private let eventLoop: any EventLoop
    /// Transport over which tokens are fetched.
    private let engine: CurlEngine?
    /// Directory of the callers, for tools whose requests identify the caller.
    var callers: CallerDirectory?
    private var state: LoadBalancerState
    private var queue: CircularBuffer<BalancedCall> = []
    /// Phases of the breakers as published on the servers' boards.
    private var shown: [CircuitBreaker.Phase]
    private let load: UpstreamLoad.Part
    /// Time at which a server last answered a call.
    private var lastReached: NIODeadline?
    /// True if the endpoint of the only server retries a refused connection itself.
    private let endpointRetries: Bool

    init(
        _ upstream: Upstream, endpoints: [any Endpoint], eventLoop: any EventLoop, workers: Int,
        engine: CurlEngine? = nil
    ) {
        self.engine = engine
        self.upstream = upstream
        self.endpoints = endpoints
        self.eventLoop = eventLoop
        state = LoadBalancerState(upstream.configuration.balancing.shared(by: workers), servers: endpoints.count)
        shown = Array(repeating: .closed, count: endpoints.count)
        load = upstream.load.add()
        endpointRetries = endpoints.count == 1 && endpoints[0].retriesRefusals
    }

    deinit {
        for (server, phase) in shown.enumerated() where phase != .closed {
            upstream.servers[server].breakers.changed(from: phase, to: .closed)
        }
    }

    private func show(_ server: Int) {
        let phase = state.breakerPhase(of: server)
        if phase == shown[server] { return }
        upstream.servers[server].breakers.changed(from: shown[server], to: phase)
        shown[server] = phase
    }

    /// Makes a call with the credentials for its upstream, the caller's and the gateway's own.
    ///
    /// - Returns: The call while it can be cancelled; nil when it was refused at once.
    func call(_ call: UpstreamCall, of caller: any Caller, for receiver: any CallReceiver) -> (any RunningCall)? {
        var call = call
        if case .tool(var tool) = call {
            guard upstream.pinning.allowsCall(of: tool.tool) else {
                receiver.callEnded(.refused(Self.hidden))
                return nil
            }
            if let violation = upstream.violation(ofArgumentsOf: tool) {
                let text = "Invalid arguments: \(violation)"
                receiver.callEnded(.result(MCPCallResult(ToolResultWriter.text(text, isError: true))))
                return nil
            }
            tool.credentials = caller.credentials(for: upstream)
            call = .tool(tool)
        }
        if case .tool(let tool) = call, let facts = upstream.tools[tool.tool]?.callerFacts, !facts.isEmpty {
            guard let callers else {
                receiver.callEnded(.refused(GatewayError(.internal, detail: "no section caller")))
                return nil
            }
            let identified = IdentifiedCall(callers, eventLoop: eventLoop, receiver: receiver) { [self] call in
                authorize(call, for: receiver)
            }
            identified.identify(tool, of: caller, for: facts)
            return identified
        }
        return authorize(call, for: receiver)
    }

    private func authorize(_ call: UpstreamCall, for receiver: any CallReceiver) -> (any RunningCall)? {
        guard let credentials = upstream.credentials, let engine else { return start(call, for: receiver) }
        let authorized = AuthorizedCall(
            call, credentials, balancer: self, engine: engine, eventLoop: eventLoop, receiver: receiver)
        authorized.start()
        return authorized
    }

    /// Makes a call that has its credentials, now or when other calls have ended.
    func start(_ call: UpstreamCall, for receiver: any CallReceiver) -> (any RunningCall)? {
        let now = eventLoop.now
        let admission = state.admit(now: now, health: health)
        publish()
        switch admission {
        case .run(let server):
            show(server)
            receiver.callAccepted()
            if endpointRetries {
                return send(call, to: server, for: receiver)
            }
            let balanced = BalancedCall(call, balancer: self, receiver)
            run(balanced, on: server)
            return balanced
        case .wait:
            receiver.callAccepted()
            let balanced = BalancedCall(call, balancer: self, receiver)
            wait(balanced, since: now)
            return balanced
        case .overloaded:
            receiver.callEnded(.refused(Self.overloaded("queue is full")))
        case .unreachable:
            let balanced = BalancedCall(call, balancer: self, receiver)
            balanced.isQueued = false
            if waitForServers(balanced, now) {
                receiver.callAccepted()
                return balanced
            }
            receiver.callEnded(.refused(Self.unreachable))
        }
        return nil
    }

    /// Sends a call that may have to be retried at another server.
    private func run(_ balanced: BalancedCall, on server: Int) {
        show(server)
        guard let call = balanced.call else { return }
        balanced.isQueued = false
        balanced.tries += 1
        let number = balanced.tries
        let running = send(call, to: server, for: balanced)
        // The call may already be over, pause, or be with another server.
        if balanced.call != nil, balanced.tries == number { balanced.running = running }
    }

    /// Sends a call; while its user is asked, others have its place.
    private func send(_ call: UpstreamCall, to server: Int, for receiver: any CallReceiver) -> any RunningCall {
        var attempt = CallAttempt(balancer: self, server: server, receiver: receiver)
        guard case .tool(var tool) = call, let onQuestion = tool.onQuestion else {
            return endpoints[server].send(call, attempt)
        }
        let place = CallPlace(self, server: server)
        attempt.place = place
        tool.onQuestion = { question in
            question.onAnswer = { place.answered() }
            place.asked()
            onQuestion(question)
        }
        return endpoints[server].send(.tool(tool), attempt)
    }

    /// Gives the place of a call to others while its user is asked.
    func rest(_ server: Int) {
        state.rest(server: server)
        publish()
        startWaiting()
    }

    /// Takes the place of a call back.
    func goOn(_ server: Int) {
        state.goOn(server: server)
        publish()
    }

    /// Sends a call to another server, or to any of them after a pause once all were tried.
    ///
    /// - Returns: False when the deadline or the retry window has passed, or when the only server's endpoint has
    ///   retried itself.
    fileprivate func fail(over balanced: BalancedCall, with call: UpstreamCall, after outcome: UpstreamOutcome) -> Bool
    {
        let now = eventLoop.now
        guard now < call.deadline, !endpointRetries else { return false }
        balanced.call = call
        balanced.lastOutcome = outcome
        if balanced.tries < endpoints.count, case .run(let other) = state.retry(now: now, health: health) {
            publish()
            run(balanced, on: other)
            return true
        }
        return pause(balanced, since: now, now)
    }

    /// Lets a call wait for servers that answered shortly before and may recover soon; false when none did.
    private func waitForServers(_ balanced: BalancedCall, _ now: NIODeadline) -> Bool {
        guard endpoints.count > 1, let lastReached else { return false }
        return pause(balanced, since: lastReached, now)
    }

    /// Retries a call after a pause; false when the retry window has passed. The call keeps its place during the pause:
    /// otherwise another call would take it.
    ///
    /// - Parameter since: The window's beginning, for the call's first pause.
    private func pause(_ balanced: BalancedCall, since: NIODeadline, _ now: NIODeadline) -> Bool {
        guard let at = balanced.nextTry(since: since, now: now, window: upstream.configuration.retryWindow) else {
            return false
        }
        balanced.tries = 0
        balanced.running = nil
        balanced.isPausing = true
        state.reserve()
        publish()
        balanced.expiry = eventLoop.assumeIsolated().scheduleTask(deadline: at) { [self] in
            // A cancelled call has already given up its place.
            guard balanced.isPausing else { return }
            balanced.isPausing = false
            state.release()
            let now = eventLoop.now
            if case .run(let server) = state.retry(now: now, health: health) {
                publish()
                run(balanced, on: server)
            } else if !pause(balanced, since: now, now) {
                publish()
                balanced.finish(balanced.lastOutcome ?? .refused(Self.unreachable))
                startWaiting()
            }
        }
        return true
    }

    /// Ends a call that is cancelled during its pause.
    fileprivate func leavePause(_ balanced: BalancedCall) {
        balanced.isPausing = false
        state.release()
        publish()
        balanced.finish(.cancelled)
        startWaiting()
    }

    /// Records the end of an attempt.
    func ended(_ server: Int, _ verdict: CircuitBreaker.Verdict) {
        let now = eventLoop.now
        if verdict == .reached { lastReached = now }
        state.end(server: server, verdict, now: now)
        show(server)
        publish()
    }

    /// Publishes the load. Plain stores suffice: there is no other writer.
    private func publish() {
        load.outstanding.store(state.outstanding, ordering: .relaxed)
        load.waiting.store(state.waiting, ordering: .relaxed)
    }

    private func health(_ server: Int) -> LoadBalancerState.Health { upstream.servers[server].health }

    // MARK: The queue

    private func wait(_ balanced: BalancedCall, since now: NIODeadline) {
        balanced.queuedAt = now
        let end = min(balanced.deadline, now + TimeAmount(upstream.configuration.queueTimeout))
        balanced.expiry = eventLoop.assumeIsolated().scheduleTask(deadline: end) { [self] in
            leaveQueue(balanced, .refused(Self.overloaded("waited too long")))
        }
        queue.append(balanced)
    }

    /// Starts waiting calls while there is room.
    func startWaiting() {
        while let balanced = queue.first {
            if balanced.call == nil {
                queue.removeFirst()
                continue
            }
            let now = eventLoop.now
            guard let admission = state.resume(now: now, health: health) else { return }
            publish()
            queue.removeFirst()
            balanced.queued = .nanoseconds((now - balanced.queuedAt).nanoseconds)
            balanced.expiry?.cancel()
            balanced.isQueued = false
            if case .run(let server) = admission {
                run(balanced, on: server)
            } else if !waitForServers(balanced, now) {
                balanced.finish(.refused(Self.unreachable))
            }
        }
    }

    /// Ends a waiting call; its entry in the queue is removed later.
    fileprivate func leaveQueue(_ balanced: BalancedCall, _ outcome: UpstreamOutcome) {
        guard balanced.isQueued, balanced.call != nil else { return }
        state.leave()
        publish()
        balanced.finish(outcome)
        // Clients that come and leave while the queue does not move must not make it long.
        if queue.count > 2 * state.waiting + 16 { queue.removeAll { $0.call == nil } }
    }

    // MARK: Refusals

    private static func overloaded(_ detail: String) -> GatewayError {
        GatewayError(.overloaded, detail: detail)
    }

    private static var hidden: GatewayError {
        GatewayError(.upstreamRejected, detail: "the tool is hidden until it is pinned")
    }

    private static var unreachable: GatewayError {
        GatewayError(.upstreamUnreachable, detail: "circuit breaker is open")
    }
}

/// A call that waits, or that may be retried at another server.
final class BalancedCall: RunningCall, CallReceiver {
    private let balancer: LoadBalancer
    /// The call; nil once there is an outcome.
    fileprivate var call: UpstreamCall?
    private var receiver: (any CallReceiver)?
    let deadline: NIODeadline
    fileprivate var expiry: Scheduled<Void>?
    fileprivate var isQueued = true
    /// True while the call waits between two attempts.
    fileprivate var isPausing = false
    /// True once the call is cancelled: it is not retried.
    private var isCancelled = false
    fileprivate var queuedAt = NIODeadline.uptimeNanoseconds(0)
    /// Time that the call waited in the queue.
    fileprivate var queued = Duration.zero
    /// Number of servers tried since the last pause.
    fileprivate var tries = 0
    fileprivate var running: (any RunningCall)?
    /// Outcome of the last attempt.
    fileprivate var lastOutcome: UpstreamOutcome?
    private var backoff: Backoff?

    fileprivate init(_ call: UpstreamCall, balancer: LoadBalancer, _ receiver: any CallReceiver) {
        self.call = call
        self.balancer = balancer
        self.receiver = receiver
        deadline = call.deadline
    }

    /// Returns the time of the next attempt; nil when the retry window or the call's deadline has passed.
    fileprivate func nextTry(since: NIODeadline, now: NIODeadline, window: Duration) -> NIODeadline? {
        guard call != nil else { return nil }
        if backoff == nil {
            backoff = Backoff(window: TimeAmount(window), pause: .milliseconds(25))
            backoff?.began(since)
        }
        return backoff?.next(now: now, deadline: deadline)
    }

    func callAccepted() {}

    /// Handles the outcome of one attempt.
    func callEnded(_ outcome: UpstreamOutcome) {
        if !isCancelled, let next = call?.failover(after: outcome),
            balancer.fail(over: self, with: next, after: outcome)
        {
            return
        }
        finish(outcome)
    }

    fileprivate func finish(_ outcome: UpstreamOutcome) {
        guard let call else { return }
        expiry?.cancel()
        expiry = nil
        running = nil
        self.call = nil
        var outcome = call.settled(outcome)
        if queued > .zero { outcome.note(queued: queued) }
        receiver.take()?.callEnded(outcome)
    }

    func cancel() {
        isCancelled = true
        if isQueued {
            balancer.leaveQueue(self, .cancelled)
        } else if isPausing {
            balancer.leavePause(self)
        } else {
            running?.cancel()
        }
    }
}

extension UpstreamCall {
    /// Returns the call for another server after this outcome; nil when the outcome is final.
    fileprivate func failover(after outcome: UpstreamOutcome) -> UpstreamCall? {
        guard case .failure(let failure) = outcome, failure.allowsFailover else { return nil }
        guard case .tool(var call) = self else { return self }
        call.earlierRuns += failure.runs
        return .tool(call)
    }

    /// Returns the outcome of all attempts: if an earlier attempt may have run the tool, a later one that did not
    /// cannot change that.
    fileprivate func settled(_ outcome: UpstreamOutcome) -> UpstreamOutcome {
        guard case .tool(let call) = self, call.earlierRuns > 0, case .failure(var failure) = outcome,
            failure.error.executed == .no, failure.kind != nil
        else { return outcome }
        failure.error.executed = .unknown
        return .failure(failure)
    }
}
