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
        guard case .tool(let call) = call else {
            attempt.ended(.refused(GatewayError(.internal, detail: "an MCP server takes calls of tools")))
            return EndedCall()
        }
        return caller.call(call) { outcome in
            switch outcome {
            case .result(let result): attempt.ended(.result(result))
            case .failure(let failure): attempt.ended(.failure(UpstreamFailure(failure)))
            }
        }
    }

    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamFailure>) -> Void
    ) {
        // Idle sessions end here too: calls end them only in passing.
        caller.sweep()
        caller.refreshCatalog(credentials: credentials, deadline: deadline) { result in
            completion(result.mapError { UpstreamFailure($0) })
        }
    }
}

extension MCPCallHandle: RunningCall {}

/// A call that was over before it began.
struct EndedCall: RunningCall {
    func cancel() {}
}
