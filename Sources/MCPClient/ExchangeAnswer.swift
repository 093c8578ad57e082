import JSON
import MCP
import NIOCore

/// The answer of one HTTP exchange to one JSON-RPC request.
struct ExchangeAnswer {
    enum Content {
        /// A response with the right id and an object as result.
        case result(message: ByteBuffer, result: JSONSlice)
        case error(JSONRPCError)
        /// Nothing that is JSON-RPC, or nothing at all: the status has to speak for itself.
        case nothing
        /// The server answered, but not with what it must.
        case malformed(String, executed: MCPExecuted)
    }

    var status: Int
    var content: Content
    var sessionID: String?
    var location: String?
    var wwwAuthenticate: [String] = []
    var retryAfter: String?
    var setCookies: [String] = []
    /// Beginning of a body that is no JSON-RPC message.
    var excerpt = ""
    /// Opening the connection, zero when one was reused; until the first byte.
    var connect = Duration.zero
    var firstByte = Duration.zero

    init(status: Int, content: Content) {
        self.status = status
        self.content = content
    }

    var rpcError: JSONRPCError? {
        if case .error(let error) = content { error } else { nil }
    }

    /// The server understands 2026-07-28, whatever else it thinks of the request: no other revision has these codes.
    var provesModern: Bool {
        switch rpcError?.knownCode {
        case .headerMismatch, .missingClientCapability, .unsupportedVersion: true
        default: false
        }
    }

    /// The status is about the caller or the server's load, not about era or session.
    var isAboutTheCaller: Bool { [401, 403, 408, 413, 429].contains(status) }

    /// The server's own words about what is wrong; empty where it has none.
    var words: String {
        guard let error = rpcError else { return excerpt }
        guard let data = error.data?.string else { return error.message }
        return error.message + " " + data
    }

    /// The failure that this answer is; nil for a result.
    var failure: MCPCallFailure? {
        var failure: MCPCallFailure
        switch (status, content) {
        case (200..<300, .result):
            return nil
        case (200..<300, .error(let error)):
            failure = MCPCallFailure(
                kind: .rejected, executed: Self.executed(error), detail: "JSON-RPC error \(error.code)")
        case (200..<300, .malformed(let detail, let executed)):
            failure = MCPCallFailure(kind: .invalid, executed: executed, detail: detail)
        case (200..<300, .nothing):
            failure = MCPCallFailure(kind: .invalid, executed: .unknown, detail: "no result")
        case (401, _): failure = MCPCallFailure(kind: .unauthorized, executed: .no, detail: "status 401")
        case (403, _): failure = MCPCallFailure(kind: .forbidden, executed: .no, detail: "status 403")
        case (429, _): failure = MCPCallFailure(kind: .rateLimited, executed: .no, detail: "status 429")
        case (400..<500, _):
            failure = MCPCallFailure(
                kind: .rejected, executed: status == 408 ? .unknown : .no, detail: "status \(status)")
        case (500..., _):
            failure = MCPCallFailure(kind: .failed, executed: .unknown, detail: "status \(status)")
        default:
            failure = MCPCallFailure(
                kind: .invalid, executed: status == 307 || status == 308 ? .no : .unknown,
                detail: "unexpected status \(status)")
        }
        failure.status = status
        failure.rpcError = rpcError
        failure.wwwAuthenticate = wwwAuthenticate
        failure.retryAfter = retryAfter
        failure.setCookies = setCookies
        return failure
    }

    /// These codes say that the message as a whole was refused. -32602 is not among them: a tool may raise it itself.
    static func executed(_ error: JSONRPCError) -> MCPExecuted {
        switch error.knownCode {
        case .parseError, .invalidRequest, .methodNotFound, .headerMismatch, .missingClientCapability,
            .unsupportedVersion:
            .no
        default: .unknown
        }
    }
}

/// Why an exchange has no answer.
struct TransportFailure: Error, Sendable {
    enum Kind: Sendable {
        /// The connection was refused, or ended.
        case refused
        case broken
        /// No connection is possible at all: name, certificate.
        case impossible
        case timedOut
        case tooLarge
        /// Not HTTP, or a stream that ended without the answer.
        case garbled
    }

    var kind: Kind
    /// False only when provably no byte of the request left.
    var sent: Bool
    var detail: String

    /// Sending again cannot run anything twice, and may help.
    var isRefusal: Bool { !sent && (kind == .refused || kind == .broken) }

    /// The failure that it is when nothing more is tried before `deadline`.
    func failure(now: NIODeadline, deadline: NIODeadline) -> MCPCallFailure {
        let executed: MCPExecuted = sent ? .unknown : .no
        switch kind {
        case .timedOut where sent || now + .milliseconds(5) >= deadline:
            return MCPCallFailure(kind: .timeout, executed: executed, detail: "no answer in time")
        case .refused, .broken, .impossible, .timedOut:
            return MCPCallFailure(kind: .unreachable, executed: executed, detail: detail)
        case .tooLarge, .garbled:
            return MCPCallFailure(kind: .invalid, executed: executed, detail: detail)
        }
    }
}
