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
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void)
}

/// One attempt of a call at one server.
struct CallAttempt {
    let balancer: LoadBalancer
    let server: Int
    let receiver: any CallReceiver
    /// Place of a call that may ask its user; nil for any other.
    var place: CallPlace?

    /// Ends the attempt.
    func ended(_ outcome: UpstreamOutcome) {
        place?.end()
        balancer.ended(server, outcome.verdict)
        receiver.callEnded(outcome)
        balancer.startWaiting()
    }
}

/// Place of a call in progress among those of its upstream; others have it while the call's user is asked. Confined to
/// its event loop.
final class CallPlace {
    private let balancer: LoadBalancer
    private let server: Int
    /// Number of questions that wait for the user.
    private var questions = 0
    private var isOver = false

    init(_ balancer: LoadBalancer, server: Int) {
        self.balancer = balancer
        self.server = server
    }

    func asked() {
        questions += 1
        if questions == 1 { balancer.rest(server) }
    }

    func answered() {
        guard !isOver else { return }
        questions -= 1
        if questions == 0 { balancer.goOn(server) }
    }

    /// Takes the place back for the end of the call.
    func end() {
        isOver = true
        if questions > 0 { balancer.goOn(server) }
    }
}
