import MCP
import NIOCore

/// A `ping` that finds out whether the server still knows a session: a call over it failed in a way that may mean that it
/// does not. Answers without guessing at the server's words.
final class SessionCheck: ExchangeOwner {
    private let connection: UpstreamConnection
    private let credentials: ForwardedCredentials
    private let caller: MCPCaller
    private let completion: (Bool) -> Void

    /// The longest wait for the answer; a server that is slower keeps its session.
    private static let limit = TimeAmount.seconds(2)

    /// - Parameter completion: called once, with whether the session may go on.
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
        Exchange(number: number, limit: 1 << 20, owner: self).start(request, by: caller)
    }

    func exchangeAnswered(_ answer: ExchangeAnswer) { completion(Self.isKnown(answer)) }

    func exchangeReceived(_ message: JSONRPCMessage) {
        // Nothing that a server says before its answer concerns the session.
    }

    func exchangeFailed(_ failure: TransportFailure, resumption: StreamResumption?) {
        // An empty stream is how some servers answer for a session that is gone; other failures tell nothing.
        completion(failure.kind != .garbled)
    }

    /// Returns whether a server that answers a `ping` like this knows the session: it does what is asked, does not know
    /// the method, or speaks of something else.
    static func isKnown(_ answer: ExchangeAnswer) -> Bool {
        if answer.failure == nil || answer.isAboutTheCaller { return true }
        return answer.rpcError?.knownCode == .methodNotFound && !LostSession.isTold(by: answer.words)
    }
}
