import MCPClient

extension MCPCaller: GateCaller {
    typealias Upstream = GatewayUpstream

    func send(_ call: MCPToolCall, completion: @escaping (MCPCallOutcome) -> Void) -> MCPCallHandle {
        self.call(call, completion: completion)
    }

    /// An answer of any kind shows that the server is there; so does a deadline that passed after sending.
    static func verdict(_ answer: MCPCallOutcome) -> CircuitBreaker.Verdict {
        switch answer {
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

    static var retriesRefusals: Bool { true }

    static func elsewhere(_ call: MCPToolCall, after answer: MCPCallOutcome) -> MCPToolCall? {
        guard case .failure(let failure) = answer, failure.mayGoElsewhere else { return nil }
        var next = call
        if failure.executed != .no { next.isReplay = true }
        return next
    }

    /// An earlier try that may have run is not undone by a later one that did not.
    static func settled(_ answer: MCPCallOutcome, of call: MCPToolCall) -> MCPCallOutcome {
        guard call.isReplay, case .failure(var failure) = answer, failure.executed == .no else { return answer }
        failure.executed = .unknown
        return .failure(failure)
    }

    static func note(queued: Duration, in answer: inout MCPCallOutcome) { answer.timings.queue = queued }

    static var cancelled: MCPCallOutcome {
        .failure(MCPCallFailure(kind: .cancelled, executed: .no, detail: "cancelled by the caller"))
    }
}

extension MCPToolCall: GateRequest {}
extension MCPCallHandle: GateRunning {}

extension GatewayUpstream: GateUpstream {
    func health(of server: Int) -> UpstreamGateState.Health { servers[server].health }
    func breakers(of server: Int) -> BreakerBoard { servers[server].breakers }
}
