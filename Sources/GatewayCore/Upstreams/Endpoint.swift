import MCPClient
import NIOCore

/// A server of an upstream, as one worker calls it. Confined to the worker's event loop.
protocol Endpoint: AnyObject {
    /// True if the endpoint itself retries a refused connection; only where the upstream has no other server.
    var retriesRefusals: Bool { get }

    /// Sends a call, and ends the attempt exactly once, perhaps before this method returns.
    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall

    /// Checks whether the server answers, and which tools it has.
    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamFailure>) -> Void)
}

/// One attempt of a call at one server.
struct CallAttempt {
    let balancer: LoadBalancer
    let server: Int
    let receiver: any CallReceiver

    /// Ends the attempt.
    func ended(_ outcome: UpstreamOutcome) {
        balancer.ended(server, outcome.verdict)
        receiver.callEnded(outcome)
        balancer.startWaiting()
    }
}
