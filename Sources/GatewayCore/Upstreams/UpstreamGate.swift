import MCPClient
import NIOCore

/// Sends calls to one server of an upstream; a gate has one for each server. Confined to its event loop.
protocol GateCaller {
    associatedtype Upstream: GateUpstream
    associatedtype Call: GateRequest
    associatedtype Answer
    associatedtype Running: GateRunning

    /// - Parameter completion: called exactly once, perhaps before this method returns.
    func send(_ call: Call, completion: @escaping (Answer) -> Void) -> Running

    /// What an answer says about the server.
    static func verdict(_ answer: Answer) -> CircuitBreaker.Verdict
    /// Whether a call to the only server tries a refused connection again by itself.
    static var retriesRefusals: Bool { get }
    /// What another server may be given after this answer; nil: nothing, the answer stands.
    static func elsewhere(_ call: Call, after answer: Answer) -> Call?
    /// The answer to a call that other servers may have been given before.
    static func settled(_ answer: Answer, of call: Call) -> Answer
    /// The answer to a call that was cancelled before it was sent.
    static var cancelled: Answer { get }
    /// Notes how long the call waited in the gate's queue.
    static func note(queued: Duration, in answer: inout Answer)
}

/// What a gate wants to know of a call.
protocol GateRequest {
    /// End of the call's whole budget.
    var deadline: NIODeadline { get }
}

/// A call that has been sent.
protocol GateRunning {
    func cancel()
}

/// What a gate wants to know of its upstream.
protocol GateUpstream {
    var configuration: UpstreamConfiguration { get }
    /// What the checks know of each server; read from any thread.
    func health(of server: Int) -> UpstreamGateState.Health
    /// What the shards' breakers do for each server.
    func breakers(of server: Int) -> BreakerBoard
    /// What its gates are doing.
    var load: UpstreamLoad { get }
}

/// The way of a shard's calls to one upstream: chooses a server, bounds what is under way, and lets the rest wait for a
/// while. Confined to the shard's event loop.
final class UpstreamGate<Caller: GateCaller> {
    enum Outcome {
        case answered(Caller.Answer)
        /// Nothing was sent.
        case refused(GatewayError)
    }

    /// A call that was accepted.
    enum Handle {
        case running(Caller.Running)
        case held(GateCall<Caller>)

        func cancel() {
            switch self {
            case .running(let handle): handle.cancel()
            case .held(let call): call.cancel()
            }
        }
    }

    let upstream: Caller.Upstream
    /// In the order of the upstream's servers.
    let callers: [Caller]
    private let eventLoop: any EventLoop
    private var state: UpstreamGateState
    private var queue: CircularBuffer<GateCall<Caller>> = []
    /// What the servers' boards have been told.
    private var shown: [CircuitBreaker.Phase]
    private let load: UpstreamLoad.Part
    /// When a server last answered a call.
    private var lastReached: NIODeadline?

    init(_ upstream: Caller.Upstream, callers: [Caller], eventLoop: any EventLoop, workers: Int) {
        self.upstream = upstream
        self.callers = callers
        self.eventLoop = eventLoop
        state = UpstreamGateState(upstream.configuration.gate.shared(by: workers), servers: callers.count)
        shown = Array(repeating: .closed, count: callers.count)
        load = upstream.load.add()
    }

    deinit {
        for (server, phase) in shown.enumerated() where phase != .closed {
            upstream.breakers(of: server).changed(from: phase, to: .closed)
        }
    }

    private func show(_ server: Int) {
        let phase = state.breakerPhase(of: server)
        if phase == shown[server] { return }
        upstream.breakers(of: server).changed(from: shown[server], to: phase)
        shown[server] = phase
    }

    /// Makes a call, now or when others have ended.
    /// - Parameters:
    ///   - accepted: called before anything is sent, unless the call is refused at once.
    ///   - completion: called exactly once, perhaps before this method returns.
    func call(
        _ request: Caller.Call, accepted: (() -> Void)? = nil, completion: @escaping (Outcome) -> Void
    ) -> Handle? {
        let now = eventLoop.now
        let admission = state.admit(now: now, health: health)
        publish()
        switch admission {
        case .run(let server):
            show(server)
            accepted?()
            if callers.count == 1, Caller.retriesRefusals {
                return .running(
                    callers[server].send(request) { [self] outcome in
                        ended(server, outcome)
                        completion(.answered(outcome))
                        startWaiting()
                    })
            }
            let call = GateCall(request, gate: self, completion)
            run(call, on: server)
            return .held(call)
        case .wait:
            accepted?()
            let call = GateCall(request, gate: self, completion)
            call.queuedAt = now
            let end = min(request.deadline, now + TimeAmount(upstream.configuration.queueTimeout))
            call.expiry = eventLoop.assumeIsolated().scheduleTask(deadline: end) { [self] in
                leaveQueue(call, .refused(Self.overloaded("waited too long")))
            }
            queue.append(call)
            return .held(call)
        case .overloaded:
            completion(.refused(Self.overloaded("queue is full")))
        case .unreachable:
            let call = GateCall(request, gate: self, completion)
            call.isQueued = false
            if waitForServers(call, now) {
                accepted?()
                return .held(call)
            }
            completion(.refused(Self.unreachable))
        }
        return nil
    }

    /// Sends a call that may have to go to another server.
    private func run(_ call: GateCall<Caller>, on server: Int) {
        show(server)
        guard let request = call.request else { return }
        call.isQueued = false
        call.tries += 1
        let number = call.tries
        let running = callers[server].send(request) { [self] outcome in
            ended(server, outcome)
            if !call.isCancelled, let next = Caller.elsewhere(request, after: outcome),
                repeated(call, with: next, after: outcome)
            {
                return
            }
            call.finish(.answered(outcome))
            startWaiting()
        }
        // By now it may be over, pause, or be with another server.
        if call.request != nil, call.tries == number { call.running = running }
    }

    /// Gives a call to another server, or to any of them after a pause once all were asked; false when there is no time
    /// for that, or when the only server's caller has tried again by itself.
    private func repeated(_ call: GateCall<Caller>, with request: Caller.Call, after answer: Caller.Answer) -> Bool {
        let now = eventLoop.now
        guard now < request.deadline, callers.count > 1 || !Caller.retriesRefusals else { return false }
        call.request = request
        call.lastAnswer = answer
        if call.tries < callers.count, case .run(let other) = state.again(now: now, health: health) {
            publish()
            run(call, on: other)
            return true
        }
        return pause(call, since: now, now)
    }

    /// Servers that were there a moment ago may be back in another; false when they were not.
    private func waitForServers(_ call: GateCall<Caller>, _ now: NIODeadline) -> Bool {
        guard callers.count > 1, let lastReached else { return false }
        return pause(call, since: lastReached, now)
    }

    /// Tries again a little later; false when the window for that is over. Meanwhile the call keeps its place: given back,
    /// the place would be another's when the pause ends.
    /// - Parameter since: when the window began, for the call's first pause.
    private func pause(_ call: GateCall<Caller>, since: NIODeadline, _ now: NIODeadline) -> Bool {
        guard let at = call.nextTry(since: since, now: now, window: upstream.configuration.retryWindow) else {
            return false
        }
        call.tries = 0
        call.running = nil
        call.isPausing = true
        state.hold()
        publish()
        call.expiry = eventLoop.assumeIsolated().scheduleTask(deadline: at) { [self] in
            // Cancelled, it has given the place back already.
            guard call.isPausing else { return }
            call.isPausing = false
            state.release()
            let now = eventLoop.now
            if case .run(let server) = state.again(now: now, health: health) {
                publish()
                run(call, on: server)
            } else if !pause(call, since: now, now) {
                publish()
                call.finish(call.lastAnswer.map { .answered($0) } ?? .refused(Self.unreachable))
                startWaiting()
            }
        }
        return true
    }

    /// The caller does not want a call any more that pauses.
    fileprivate func leavePause(_ call: GateCall<Caller>) {
        call.isPausing = false
        state.release()
        publish()
        call.finish(.answered(Caller.cancelled))
        startWaiting()
    }

    private func ended(_ server: Int, _ answer: Caller.Answer) {
        let now = eventLoop.now
        let verdict = Caller.verdict(answer)
        if verdict == .reached { lastReached = now }
        state.end(server: server, verdict, now: now)
        show(server)
        publish()
    }

    /// Plain stores: nobody else writes there.
    private func publish() {
        load.outstanding.store(state.outstanding, ordering: .relaxed)
        load.waiting.store(state.waiting, ordering: .relaxed)
    }

    private func health(_ server: Int) -> UpstreamGateState.Health { upstream.health(of: server) }

    // MARK: The queue

    private func startWaiting() {
        while let call = queue.first {
            if call.request == nil {
                queue.removeFirst()
                continue
            }
            let now = eventLoop.now
            guard let admission = state.resume(now: now, health: health) else { return }
            publish()
            queue.removeFirst()
            call.queued = .nanoseconds((now - call.queuedAt).nanoseconds)
            call.expiry?.cancel()
            call.isQueued = false
            if case .run(let server) = admission {
                run(call, on: server)
            } else if !waitForServers(call, now) {
                call.finish(.refused(Self.unreachable))
            }
        }
    }

    /// The call does not wait any longer; its place in the queue is found empty later.
    fileprivate func leaveQueue(_ call: GateCall<Caller>, _ outcome: Outcome) {
        guard call.isQueued, call.request != nil else { return }
        state.leave()
        publish()
        call.finish(outcome)
        // Clients that come and leave while nothing moves must not make the queue long.
        if queue.count > 2 * state.waiting + 16 { queue.removeAll { $0.request == nil } }
    }

    // MARK: Outcomes

    private static func overloaded(_ detail: String) -> GatewayError {
        GatewayError(.overloaded, detail: detail)
    }

    private static var unreachable: GatewayError {
        GatewayError(.upstreamUnreachable, detail: "circuit breaker is open")
    }
}

/// A call that waits, or that may go to one server after another.
final class GateCall<Caller: GateCaller> {
    private let gate: UpstreamGate<Caller>
    /// nil once there is an outcome.
    fileprivate var request: Caller.Call?
    private var completion: ((UpstreamGate<Caller>.Outcome) -> Void)?
    fileprivate var expiry: Scheduled<Void>?
    fileprivate var isQueued = true
    /// Between two tries.
    fileprivate var isPausing = false
    /// Its answer is not wanted any more, and it is not sent again.
    fileprivate var isCancelled = false
    fileprivate var queuedAt = NIODeadline.uptimeNanoseconds(0)
    /// How long it waited.
    fileprivate var queued = Duration.zero
    /// Servers asked since the last pause.
    fileprivate var tries = 0
    fileprivate var running: Caller.Running?
    /// What the last try came to.
    fileprivate var lastAnswer: Caller.Answer?
    private var backoff: Backoff?

    fileprivate init(
        _ request: Caller.Call, gate: UpstreamGate<Caller>,
        _ completion: @escaping (UpstreamGate<Caller>.Outcome) -> Void
    ) {
        self.request = request
        self.gate = gate
        self.completion = completion
    }

    /// When to try again; nil when the window or the call's own time is over.
    fileprivate func nextTry(since: NIODeadline, now: NIODeadline, window: Duration) -> NIODeadline? {
        guard let request else { return nil }
        if backoff == nil {
            backoff = Backoff(window: TimeAmount(window), pause: .milliseconds(25))
            backoff?.began(since)
        }
        return backoff?.next(now: now, deadline: request.deadline)
    }

    fileprivate func finish(_ outcome: UpstreamGate<Caller>.Outcome) {
        guard let request else { return }
        expiry?.cancel()
        expiry = nil
        running = nil
        self.request = nil
        guard case .answered(let answer) = outcome else {
            completion.take()?(outcome)
            return
        }
        var settled = Caller.settled(answer, of: request)
        if queued > .zero { Caller.note(queued: queued, in: &settled) }
        completion.take()?(.answered(settled))
    }

    fileprivate func cancel() {
        isCancelled = true
        if isQueued {
            gate.leaveQueue(self, .answered(Caller.cancelled))
        } else if isPausing {
            gate.leavePause(self)
        } else {
            running?.cancel()
        }
    }
}
