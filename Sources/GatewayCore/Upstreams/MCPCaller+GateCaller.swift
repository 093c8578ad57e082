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

    static func mayGoElsewhere(_ answer: MCPCallOutcome) -> Bool {
        guard case .failure(let failure) = answer else { return false }
        return failure.kind == .unreachable && failure.executed == .no
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
