package import JSON
package import MCP
package import NIOCore
package import ProcessMemory

/// Outcome of a call; exactly one for each call.
package enum MCPCallOutcome: Sendable {
    case result(MCPCallResult)
    case failure(MCPCallError)

    /// Phases of the call.
    package var timings: MCPCallTimings {
        get {
            switch self {
            case .result(let result): result.timings
            case .failure(let failure): failure.timings
            }
        }
        set {
            switch self {
            case .result(var result):
                result.timings = newValue
                self = .result(result)
            case .failure(var failure):
                failure.timings = newValue
                self = .failure(failure)
            }
        }
    }
}

/// Durations of a call's phases.
package struct MCPCallTimings: Hashable, Sendable {
    /// Time of waiting for a session: handshakes and pauses between attempts.
    package var session: Duration
    /// Time from sending to the complete answer, summed over repetitions.
    package var upstream: Duration
    /// Time of waiting for a place before everything else; set by the caller's own queue, if it has one.
    package var queue: Duration
    /// Time of opening a connection, for the last exchange; zero when one was reused.
    package var connect: Duration
    /// Time from sending to the first byte of the answer, for the last exchange.
    package var firstByte: Duration

    /// Creates the durations.
    package init(
        session: Duration = .zero, upstream: Duration = .zero, queue: Duration = .zero, connect: Duration = .zero,
        firstByte: Duration = .zero
    ) {
        self.session = session
        self.upstream = upstream
        self.queue = queue
        self.connect = connect
        self.firstByte = firstByte
    }
}

/// Answer to whether the tool was executed, never a guess.
package enum MCPExecuted: String, Hashable, Sendable {
    /// The tool was certainly not executed: nothing was sent, or the server refused the message as a whole.
    case no
    /// The tool was executed: it answered.
    case yes
    /// The tool may have been executed.
    case unknown
}

/// A JSON-RPC result with the right id.
package struct MCPCallResult: Sendable {
    /// The JSON-RPC message; the readable bytes are the document that `result` points into.
    package var message: ByteBuffer
    /// The `result` object inside `message.readableBytesView`, from the first readable byte.
    package var result: JSONSlice
    /// `Set-Cookie` lines of the answer.
    package var setCookies: [String]
    /// Phases of the call.
    package var timings: MCPCallTimings
    /// Number of times that the call was repeated.
    package var replays: Int
    /// Era of the connection.
    package var era: MCPEra
    /// False when this call waited for a handshake.
    package var sessionReused: Bool
    /// Memory that the message has drawn; nil for a small one. A copy of the message must keep this too.
    package var reservation: MemoryReservation?
    /// True if the result is `input_required` (2026-07-28).
    package var asks = false
    /// True if a question of the tool to its user was declined without the user.
    package var hasDeclined = false

    /// Creates a result.
    package init(
        message: ByteBuffer, result: JSONSlice, setCookies: [String] = [], timings: MCPCallTimings = MCPCallTimings(),
        replays: Int = 0, era: MCPEra = .legacy, sessionReused: Bool = true
    ) {
        self.message = message
        self.result = result
        self.setCookies = setCookies
        self.timings = timings
        self.replays = replays
        self.era = era
        self.sessionReused = sessionReused
    }
}

/// Reason why a call has no result.
package struct MCPCallError: Error, Sendable {
    /// Cause of the failure.
    package enum Kind: String, CaseIterable, Sendable {
        /// 401, with `WWW-Authenticate`.
        case unauthorized
        /// 403.
        case forbidden
        /// 429, with `Retry-After`.
        case rateLimited
        /// Another 4xx, or a JSON-RPC error.
        case rejected
        /// 5xx.
        case failed
        /// Unparsable, wrong id, too large, or no result.
        case invalid
        /// No connection, or a broken one.
        case unreachable
        /// The deadline, or the longest silence, has passed.
        case timeout
        /// The memory budget of this process has no room for the answer.
        case overloaded
        /// The caller cancelled.
        case cancelled
    }

    /// Cause of the failure.
    package var kind: Kind
    /// The upstream's HTTP status, where there was one.
    package var status: Int?
    /// JSON-RPC error that the server answered with.
    package var rpcError: JSONRPCError?
    /// Lines of `WWW-Authenticate`, to be passed on.
    package var wwwAuthenticate: [String]
    /// Value of `DPoP-Nonce`: the nonce that the server wants in the proof of the next request (RFC 9449, section 9).
    package var proofNonce: String?
    /// Value of `Retry-After`.
    package var retryAfter: String?
    /// Lines of `Set-Cookie`, to be passed on.
    package var setCookies: [String]
    /// Answer to whether the tool was executed.
    package var executed: MCPExecuted
    /// Details for logs and problem documents; never contains a credential or the caller's data.
    package var detail: String
    /// Phases of the call.
    package var timings: MCPCallTimings
    /// Number of times that the call was repeated.
    package var replays: Int
    /// False when this call waited for a handshake.
    package var sessionReused: Bool
    /// True if the call may be sent to another server: it certainly did not run, or may run once more.
    package var mayGoElsewhere = false
    /// Number of attempts after which the tool may have run.
    package var runs = 0
    /// True if a question of the tool to its user was declined without the user.
    package var hasDeclined = false

    /// Creates a failure.
    package init(
        kind: Kind, status: Int? = nil, rpcError: JSONRPCError? = nil, wwwAuthenticate: [String] = [],
        retryAfter: String? = nil, setCookies: [String] = [], executed: MCPExecuted, detail: String,
        timings: MCPCallTimings = MCPCallTimings(), replays: Int = 0, sessionReused: Bool = true
    ) {
        self.kind = kind
        self.status = status
        self.rpcError = rpcError
        self.wwwAuthenticate = wwwAuthenticate
        self.retryAfter = retryAfter
        self.setCookies = setCookies
        self.executed = executed
        self.detail = detail
        self.timings = timings
        self.replays = replays
        self.sessionReused = sessionReused
    }
}
