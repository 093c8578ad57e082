import MCPClient
import NIOCore

/// The way of a shard's calls to one upstream: chooses a server, bounds what is under way, and lets the rest wait for a
/// while. Confined to the shard's event loop.
final class UpstreamGate {
    enum Outcome {
        case answered(MCPCallOutcome)
        /// Nothing was sent.
        case refused(GatewayError)
    }

    /// A call that was accepted.
    enum Handle {
        case running(MCPCallHandle)
        case held(GateCall)

        func cancel() {
            switch self {
            case .running(let handle): handle.cancel()
            case .held(let call): call.cancel()
            }
        }
    }

    let upstream: GatewayUpstream
    /// In the order of the upstream's servers.
    let callers: [MCPCaller]
    private let eventLoop: any EventLoop
    private var state: UpstreamGateState
    private var queue: CircularBuffer<GateCall> = []
    /// What the servers' boards have been told.
    private var shown: [CircuitBreaker.Phase]

    init(_ upstream: GatewayUpstream, callers: [MCPCaller], eventLoop: any EventLoop, workers: Int) {
        self.upstream = upstream
        self.callers = callers
        self.eventLoop = eventLoop
        state = UpstreamGateState(
            upstream.configuration.gate.shared(by: workers), servers: upstream.servers.count)
        shown = Array(repeating: .closed, count: upstream.servers.count)
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

    /// Makes a call, now or when others have ended.
    /// - Parameters:
    ///   - accepted: called before anything is sent, unless the call is refused at once.
    ///   - completion: called exactly once, perhaps before this method returns.
    func call(
        _ request: MCPToolCall, accepted: (() -> Void)? = nil, completion: @escaping (Outcome) -> Void
    ) -> Handle? {
        let now = NIODeadline.now()
        switch state.admit(now: now, health: health) {
        case .run(let server):
            show(server)
            accepted?()
            if callers.count == 1 {
                return .running(
                    callers[server].call(request) { [self] outcome in
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
            let end = min(request.deadline, now + TimeAmount(upstream.configuration.queueTimeout))
            call.expiry = eventLoop.assumeIsolated().scheduleTask(deadline: end) { [self] in
                leaveQueue(call, .refused(Self.overloaded("waited too long")))
            }
            queue.append(call)
            return .held(call)
        case .overloaded:
            completion(.refused(Self.overloaded("queue is full")))
        case .unreachable:
            completion(.refused(Self.unreachable))
        }
        return nil
    }

    /// Sends a call that may have to go to another server: one that provably did not reach its server does.
    private func run(_ call: GateCall, on server: Int) {
        show(server)
        guard let request = call.request else { return }
        call.isQueued = false
        call.tries += 1
        call.running = callers[server].call(request) { [self] outcome in
            ended(server, outcome)
            if let other = otherServer(for: call, request, after: outcome) {
                run(call, on: other)
            } else {
                call.finish(.answered(outcome))
                startWaiting()
            }
        }
        // It may be over by now.
        if call.request == nil { call.running = nil }
    }

    private func otherServer(for call: GateCall, _ request: MCPToolCall, after outcome: MCPCallOutcome) -> Int? {
        guard case .failure(let failure) = outcome, failure.kind == .unreachable, failure.executed == .no,
            call.tries < callers.count
        else { return nil }
        let now = NIODeadline.now()
        guard now < request.deadline, case .run(let other) = state.again(now: now, health: health) else { return nil }
        return other
    }

    private func ended(_ server: Int, _ outcome: MCPCallOutcome) {
        state.end(server: server, Self.verdict(outcome), now: .now())
        show(server)
    }

    private func health(_ server: Int) -> UpstreamGateState.Health { upstream.servers[server].health }

    // MARK: The queue

    private func startWaiting() {
        while let call = queue.first {
            if call.request == nil {
                queue.removeFirst()
                continue
            }
            guard let admission = state.resume(now: .now(), health: health) else { return }
            queue.removeFirst()
            call.expiry?.cancel()
            if case .run(let server) = admission {
                run(call, on: server)
            } else {
                call.finish(.refused(Self.unreachable))
            }
        }
    }

    /// The call does not wait any longer; its place in the queue is found empty later.
    fileprivate func leaveQueue(_ call: GateCall, _ outcome: Outcome) {
        guard call.isQueued, call.request != nil else { return }
        state.leave()
        call.finish(outcome)
        // Clients that come and leave while nothing moves must not make the queue long.
        if queue.count > 2 * state.waiting + 16 { queue.removeAll { $0.request == nil } }
    }

    // MARK: Outcomes

    /// An answer of any kind shows that the server is there; so does a deadline that passed after sending.
    private static func verdict(_ outcome: MCPCallOutcome) -> CircuitBreaker.Verdict {
        switch outcome {
        case .result: .reached
        case .failure(let failure):
            switch failure.kind {
            case .unreachable: .unreachable
            case .timeout: failure.executed == .no ? .unreachable : .unknown
            case .cancelled: .unknown
            case .unauthorized, .forbidden, .rateLimited, .rejected, .failed, .invalid: .reached
            }
        }
    }

    private static func overloaded(_ detail: String) -> GatewayError {
        GatewayError(.overloaded, detail: detail)
    }

    private static var unreachable: GatewayError {
        GatewayError(.upstreamUnreachable, detail: "circuit breaker is open")
    }
}

/// A call that waits, or that may go to one server after another.
final class GateCall {
    private let gate: UpstreamGate
    /// nil once there is an outcome.
    fileprivate private(set) var request: MCPToolCall?
    private var completion: ((UpstreamGate.Outcome) -> Void)?
    fileprivate var expiry: Scheduled<Void>?
    fileprivate var isQueued = true
    fileprivate var tries = 0
    fileprivate var running: MCPCallHandle?

    fileprivate init(
        _ request: MCPToolCall, gate: UpstreamGate, _ completion: @escaping (UpstreamGate.Outcome) -> Void
    ) {
        self.request = request
        self.gate = gate
        self.completion = completion
    }

    fileprivate func finish(_ outcome: UpstreamGate.Outcome) {
        expiry?.cancel()
        expiry = nil
        running = nil
        request = nil
        completion.take()?(outcome)
    }

    fileprivate func cancel() {
        guard isQueued else {
            running?.cancel()
            return
        }
        let failure = MCPCallFailure(kind: .cancelled, executed: .no, detail: "cancelled by the caller")
        gate.leaveQueue(self, .answered(.failure(failure)))
    }
}
