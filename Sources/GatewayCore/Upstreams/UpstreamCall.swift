import CurlTransport
import MCP
import MCPClient
import NIOCore

/// A call of an upstream, of any kind: the request, its caller's credentials, and its deadline.
enum UpstreamCall {
    /// A call of a tool; its arguments are forwarded byte for byte.
    case tool(MCPToolCall)
    /// A client's own payload, for an upstream of kind `chat`.
    case payload(ChatPayload)
    /// Any request of MCP, for an MCP server.
    case request(MCPRequest)
    /// A connection; its result is the server's description of itself.
    case describe(ForwardedCredentials, deadline: NIODeadline)

    /// Deadline of the call with all its attempts.
    var deadline: NIODeadline {
        switch self {
        case .tool(let call): call.deadline
        case .payload(let payload): payload.deadline
        case .request(let request): request.deadline
        case .describe(_, let deadline): deadline
        }
    }
}

/// A client's payload for the old backend, unchanged.
struct ChatPayload {
    /// `?` and the query, or the empty string.
    var query: String
    /// Headers of the request to the backend.
    var headers: CurlHeaders
    /// The client's bytes.
    var body: ByteBuffer
    /// Deadline of the call with all its attempts.
    var deadline: NIODeadline
    /// The caller's bearer token, where it is exchanged for another one.
    var subjectToken: String?
    /// True if credentials of the caller are among the headers.
    var forwardsCredentials = false
}

/// The caller of a tool: decides which of its credentials are sent to an upstream. Confined to its event loop.
protocol Caller: AnyObject {
    /// Returns the parts of the caller's request that are sent to an upstream.
    func credentials(for upstream: Upstream) -> ForwardedCredentials
}

/// Receiver of a call's end, usually a client's request. Confined to its event loop.
protocol CallReceiver: AnyObject {
    /// Notes that the call is in progress, at once or after waiting; not called for a call that is refused at once.
    func callAccepted()
    /// Takes the outcome; called exactly once for each call, perhaps before `LoadBalancer.call` returns.
    func callEnded(_ outcome: UpstreamOutcome)
}

/// A call that has been accepted.
protocol RunningCall {
    /// Cancels the call; the receiver gets the outcome `cancelled`.
    func cancel()
}

/// Outcome of a call.
enum UpstreamOutcome {
    /// The tool's result, as bytes.
    case result(MCPCallResult)
    /// The old backend's response to a payload, whatever its status.
    case response(CurlResponse)
    case failure(UpstreamError)

    /// Outcome of a call that was cancelled before it was sent.
    static var cancelled: UpstreamOutcome {
        .failure(UpstreamError(MCPCallError(kind: .cancelled, executed: .no, detail: "cancelled by the caller")))
    }

    /// Returns the outcome of a call that the gateway refuses itself: nothing was sent.
    static func refused(_ error: GatewayError) -> UpstreamOutcome { .failure(UpstreamError(refusal: error)) }

    /// Evidence that the outcome gives about the server.
    var verdict: CircuitBreaker.Verdict {
        switch self {
        case .result, .response: .reached
        case .failure(let failure): failure.verdict
        }
    }

    /// Stores how long the call waited in the load balancer's queue.
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

/// Failure of a call: the error for its caller, and the details that the load balancer needs.
struct UpstreamError: Error {
    /// The error as the client, the metrics and the access log see it.
    var error: GatewayError
    /// Kind of failure; nil when the gateway refused the call itself.
    let kind: MCPCallError.Kind?
    /// True if the call may be retried at another server.
    let allowsFailover: Bool
    var timings = MCPCallTimings()
    /// JSON-RPC error that the server returned, if that is the failure.
    var rpcError: JSONRPCError?
    /// True if the tool failed because it could not ask its user.
    var asksInVain = false
    /// Number of attempts after which the tool may have run.
    var runs = 0
    /// Number of times that the call was repeated.
    var replays = 0
    /// False when the call waited for a handshake.
    var sessionReused = true

    init(refusal error: GatewayError) {
        self.error = error
        kind = nil
        allowsFailover = false
    }

    init(_ failure: MCPCallError) {
        rpcError = failure.rpcError
        asksInVain = failure.kind == .rejected && (failure.hasDeclined || failure.rpcError?.asksUser == true)
        error = GatewayError(failure)
        kind = failure.kind
        allowsFailover = failure.mayGoElsewhere
        timings = failure.timings
        runs = failure.runs
        replays = failure.replays
        sessionReused = failure.sessionReused
    }

    /// Creates the failure of an HTTP request that was not answered.
    ///
    /// - Parameter isIdempotent: True if the request may be repeated although it may have run.
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
        case .overloaded:
            kind = .overloaded
            allowsFailover = false
        case .cancelled:
            kind = .cancelled
            allowsFailover = false
        case .invalidRequest, .shutdown, .other:
            kind = nil
            allowsFailover = false
        }
    }

    /// True if the caller cancelled the call, so that no response is sent.
    var isCancelled: Bool { kind == .cancelled }

    /// Evidence about the server. An answer of any kind shows that it is there; a deadline that passed after sending
    /// shows nothing.
    var verdict: CircuitBreaker.Verdict {
        switch kind {
        case .unreachable: .unreachable
        case .timeout: error.executed == .no ? .unreachable : .unknown
        case .cancelled, nil: .unknown
        case .unauthorized, .forbidden, .rateLimited, .rejected, .failed, .invalid, .overloaded: .reached
        }
    }

    /// One line for operators.
    var summary: String { "\(kind?.rawValue ?? error.label.rawValue): \(error.detail ?? error.message)" }
}

extension JSONRPCError {
    /// True if a server needs a client that can ask its user (2026-07-28, -32021; 2025-11-25, -32042).
    fileprivate var asksUser: Bool {
        switch knownCode {
        case .missingClientCapability: data?["requiredCapabilities"]?["elicitation"] != nil
        case .urlElicitationRequired: true
        default: false
        }
    }
}
