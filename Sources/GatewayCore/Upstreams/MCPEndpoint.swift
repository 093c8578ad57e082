import MCPClient
import NIOCore

/// A server that speaks MCP.
final class MCPEndpoint: Endpoint {
    private let caller: MCPCaller

    init(_ caller: MCPCaller) {
        self.caller = caller
    }

    let retriesRefusals = true

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        switch call {
        case .tool(let call): return caller.call(call) { Self.end(attempt, $0) }
        case .request(let request): return caller.send(request) { Self.end(attempt, $0) }
        case .describe(let credentials, let deadline):
            caller.describe(credentials, deadline: deadline) { Self.end(attempt, $0) }
            return EndedCall()
        case .payload:
            attempt.ended(.refused(GatewayError(.internal, detail: "an MCP server takes requests of MCP")))
            return EndedCall()
        }
    }

    private static func end(_ attempt: CallAttempt, _ outcome: MCPCallOutcome) {
        switch outcome {
        case .result(let result): attempt.ended(.result(result))
        case .failure(let failure): attempt.ended(.failure(UpstreamError(failure)))
        }
    }

    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void
    ) {
        // Idle sessions are ended here too: calls end them only when a call is made.
        caller.sweep()
        caller.refreshCatalog(credentials: credentials, deadline: deadline) { result in
            completion(result.mapError { UpstreamError($0) })
        }
    }
}

extension MCPCallHandle: RunningCall {}

/// A call that was already over when it began.
struct EndedCall: RunningCall {
    func cancel() {}
}
