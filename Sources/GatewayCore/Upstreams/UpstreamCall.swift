import CurlTransport
import MCP
import MCPClient
import NIOCore

/// A call of an upstream, whatever it speaks: what is asked, in whose name, and until when.
enum UpstreamCall {
    /// The call of a tool; its arguments go on byte for byte.
    case tool(MCPToolCall)
    /// A client's own payload, for an upstream of kind `chat`.
    case payload(ChatPayload)
    /// Any request of MCP, for an MCP server.
    case request(MCPRequest)
    /// A connection, whose result is the server's description of itself.
    case describe(ForwardedCredentials, deadline: NIODeadline)

    /// End of the whole budget.
    var deadline: NIODeadline {
        switch self {
        case .tool(let call): call.deadline
        case .payload(let payload): payload.deadline
        case .request(let request): request.deadline
        case .describe(_, let deadline): deadline
        }
    }
}

/// A client's payload on its way to the old backend, unchanged.
struct ChatPayload {
    /// `?` and the query, or nothing.
    var query: String
    /// Headers of the request to the backend.
    var headers: CurlHeaders
    /// The client's bytes.
    var body: ByteBuffer
    /// End of the whole budget.
    var deadline: NIODeadline
    /// The caller's bearer token, where it is exchanged for another one.
    var subjectToken: String?
    /// Whether credentials of the caller are among the headers.
    var forwardsCredentials = false
}

/// The caller of a tool: decides which of its credentials go to an upstream. Confined to its event loop.
protocol Caller: AnyObject {
    /// Returns what of the caller goes to an upstream.
    func credentials(for upstream: Upstream) -> ForwardedCredentials
}

/// The receiver of a call's end: a request of a client, mostly. Confined to its event loop.
protocol CallReceiver: AnyObject {
    /// Notes that the call goes ahead, at once or after waiting; not called for a call that is refused at once.
    func callAccepted()
    /// Takes the outcome; called exactly once for each call, perhaps before `LoadBalancer.call` returns.
    func callEnded(_ outcome: UpstreamOutcome)
}

/// A call that has been accepted.
protocol RunningCall {
    /// Gives the call up; the outcome says so.
    func cancel()
}

/// How a call ended.
enum UpstreamOutcome {
    /// The tool's result, as bytes.
    case result(MCPCallResult)
    /// The old backend's response to a payload, whatever its status.
    case response(CurlResponse)
    case failure(UpstreamFailure)

    /// The outcome of a call that was cancelled before it was sent.
    static var cancelled: UpstreamOutcome {
        .failure(UpstreamFailure(MCPCallFailure(kind: .cancelled, executed: .no, detail: "cancelled by the caller")))
    }

    /// The outcome of a call that the gateway refuses itself: nothing was sent.
    static func refused(_ error: GatewayError) -> UpstreamOutcome { .failure(UpstreamFailure(refusal: error)) }

    /// What the outcome says about the server.
    var verdict: CircuitBreaker.Verdict {
        switch self {
        case .result, .response: .reached
        case .failure(let failure): failure.verdict
        }
    }

    /// Notes how long the call waited in the load balancer's queue.
    mutating func note(queued: Duration) {
        switch self {
        case .result(var result):
            result.timings.queue = queued
            self = .result(result)
        case .failure(var failure):
            failure.timings.queue = queued
            self = .failure(failure)
        case .response: break
        }
    }
}

/// Why a call has no result: the error that its caller gets, and what the load balancer needs to know.
struct UpstreamFailure: Error {
    /// The error as the client, the metrics and the access log see it.
    var error: GatewayError
    /// The kind of failure; nil when the gateway refused the call itself.
    let kind: MCPCallFailure.Kind?
    /// Whether another server may be given the call.
    let allowsFailover: Bool
    var timings = MCPCallTimings()
    /// The JSON-RPC error that the server answered, if that is the failure.
    var rpcError: JSONRPCError?
    /// Sendings after which the tool may have run.
    var runs = 0
    /// Number of times that the call was sent again.
    var replays = 0
    /// False when the call waited for a handshake.
    var sessionReused = true

    init(refusal error: GatewayError) {
        self.error = error
        kind = nil
        allowsFailover = false
    }

    init(_ failure: MCPCallFailure) {
        rpcError = failure.rpcError
        error = GatewayError(failure)
        kind = failure.kind
        allowsFailover = failure.mayGoElsewhere
        timings = failure.timings
        runs = failure.runs
        replays = failure.replays
        sessionReused = failure.sessionReused
    }

    /// Describes an HTTP request that was not answered.
    ///
    /// - Parameter isIdempotent: Whether it may be sent again although it may have run.
    init(_ failure: CurlError, isIdempotent: Bool = false) {
        error = GatewayError(failure)
        runs = failure.requestSent ? 1 : 0
        switch failure.kind {
        case .couldNotResolve, .couldNotConnect, .tlsFailed, .closedEarly:
            kind = .unreachable
            allowsFailover = !failure.requestSent || isIdempotent
        case .resendRefused:
            kind = .unreachable
            allowsFailover = isIdempotent
        case .timedOut:
            kind = .timeout
            allowsFailover = false
        case .tooLarge, .invalidResponse:
            kind = .invalid
            allowsFailover = false
        case .cancelled:
            kind = .cancelled
            allowsFailover = false
        case .invalidRequest, .shutdown, .other:
            kind = nil
            allowsFailover = false
        }
    }

    /// Whether the caller gave the call up, so that nothing is to be answered.
    var isCancelled: Bool { kind == .cancelled }

    /// An answer of any kind shows that the server is there. A deadline that passed after sending shows nothing.
    var verdict: CircuitBreaker.Verdict {
        switch kind {
        case .unreachable: .unreachable
        case .timeout: error.executed == .no ? .unreachable : .unknown
        case .cancelled, nil: .unknown
        case .unauthorized, .forbidden, .rateLimited, .rejected, .failed, .invalid: .reached
        }
    }

    /// One line for operators.
    var summary: String { "\(kind?.rawValue ?? error.label.rawValue): \(error.detail ?? error.message)" }
}
