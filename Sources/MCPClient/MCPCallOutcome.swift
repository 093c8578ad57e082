package import JSON
package import MCP
package import NIOCore

/// Outcome of a call; exactly one for each call.
package enum MCPCallOutcome: Sendable {
    case result(MCPCallResult)
    case failure(MCPCallFailure)

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
    /// Waiting for a session: handshakes and pauses between tries.
    package var session: Duration
    /// From sending to the whole answer, replays summed up.
    package var upstream: Duration
    /// Waiting for a place before anything began; the caller's own queue, if it has one, fills this in.
    package var queue: Duration
    /// Opening a connection, of the last exchange; zero when one was reused.
    package var connect: Duration
    /// From sending to the first byte of the answer, of the last exchange.
    package var firstByte: Duration

    /// Describes where the time of a call went.
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

/// Knowledge of the tool's execution, never a guess.
package enum MCPExecuted: String, Hashable, Sendable {
    /// Provably not: nothing was sent, or the server refused the message as a whole.
    case no
    /// It answered.
    case yes
    /// It may have run.
    case unknown
}

/// A JSON-RPC result with the right id.
package struct MCPCallResult: Sendable {
    /// The JSON-RPC message; the readable bytes are the document that `result` points into.
    package var message: ByteBuffer
    /// The `result` object inside `message.readableBytesView`, from the first readable byte.
    package var result: JSONSlice
    /// The answer's `Set-Cookie` lines.
    package var setCookies: [String]
    /// Phases of the call.
    package var timings: MCPCallTimings
    /// Number of times that the call was sent again.
    package var replays: Int
    /// Era of the connection.
    package var era: MCPEra
    /// False when this call waited for a handshake.
    package var sessionReused: Bool

    /// Describes an answer.
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

/// Why a call has no result.
package struct MCPCallFailure: Error, Sendable {
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
        /// No connection, or it broke.
        case unreachable
        /// The deadline, or the longest silence, passed.
        case timeout
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
    /// Value of `Retry-After`.
    package var retryAfter: String?
    /// Lines of `Set-Cookie`, to be passed on.
    package var setCookies: [String]
    /// Knowledge of the tool's execution.
    package var executed: MCPExecuted
    /// For logs and problem documents; never holds a credential or the caller's data.
    package var detail: String
    /// Phases of the call.
    package var timings: MCPCallTimings
    /// Number of times that the call was sent again.
    package var replays: Int
    /// False when this call waited for a handshake.
    package var sessionReused: Bool
    /// Another server may be given the call: it provably did not run, or may run once more.
    package var mayGoElsewhere = false
    /// Sendings after which the tool may have run.
    package var runs = 0

    /// Describes a failed call.
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
