import MCP
import NIOCore

/// A `ping` that checks whether the server still knows a session, after a call over it failed in a way that leaves this
/// open. It makes interpreting the server's error text unnecessary.
final class SessionCheck: MessageOwner {
    private let connection: UpstreamConnection
    private let credentials: ForwardedCredentials
    private let caller: MCPCaller
    private let completion: (Bool) -> Void

    /// Longest wait for the answer; the session of a slower server is kept.
    private static let limit = TimeAmount.seconds(2)

    /// - Parameter completion: Called once, with true if the session may be used further.
    init(
        _ connection: UpstreamConnection, credentials: ForwardedCredentials, caller: MCPCaller,
        completion: @escaping (Bool) -> Void
    ) {
        self.connection = connection
        self.credentials = credentials
        self.caller = caller
        self.completion = completion
    }

    func start(within deadline: NIODeadline) {
        let upstream = caller.upstream
        let number = RequestNumber.next()
        var headers = connection.headers
        for header in credentials.credentials { headers.append(header) }
        let body = upstream.envelope.request(
            number: number, method: MCPMethod.ping, params: nil,
            meta: RequestEnvelope.Meta(version: connection.version, progress: false))
        let now = NIODeadline.now()
        let request = upstream.post(
            body, url: connection.url, headers: headers, timeout: min(deadline, now + Self.limit).remaining(from: now),
            mayResend: true)
        MessageExchange(number: number, limit: 1 << 20, memory: caller.upstream.configuration.memory, owner: self)
            .start(request, by: caller)
    }

    func exchangeAnswered(_ answer: MessageResponse) { completion(Self.isKnown(answer)) }

    func exchangeReceived(_ message: JSONRPCMessage) {
        // Messages before the answer do not concern the session.
    }

    func exchangeFailed(_ failure: TransportError, resumption: StreamResumption?) {
        // Some servers respond with an empty stream for a lost session; other failures are inconclusive.
        completion(failure.kind != .garbled)
    }

    /// Returns whether a server that answers a `ping` like this knows the session: it answers, does not know the
    /// method, or reports something else.
    static func isKnown(_ answer: MessageResponse) -> Bool {
        if answer.failure == nil || answer.isAboutTheCaller { return true }
        return answer.rpcError?.knownCode == .methodNotFound && !LostSession.isTold(by: answer.words)
    }
}
