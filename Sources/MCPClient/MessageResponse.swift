import JSON
import MCP
import NIOCore
import ProcessMemory

/// Answer of one HTTP exchange to one JSON-RPC request.
struct MessageResponse: Sendable {
    enum Content: Sendable {
        /// A response with the right id and an object as result.
        case result(message: ByteBuffer, result: JSONSlice)
        case error(JSONRPCError)
        /// No JSON-RPC message, or an empty body: only the status counts.
        case nothing
        /// The server answered with an invalid message.
        case malformed(String, executed: MCPExecuted)
    }

    var status: Int
    var content: Content
    /// The `resultType` of a long result, which is read with it; nil where it is still to be looked up.
    var resultType: MessageScanner.ResultType?
    var sessionID: String?
    var location: String?
    var wwwAuthenticate: [String] = []
    var proofNonce: String?
    var retryAfter: String?
    var setCookies: [String] = []
    /// Beginning of a body that is not a JSON-RPC message.
    var excerpt = ""
    /// Times of opening the connection (zero when one was reused) and until the first byte.
    var connect = Duration.zero
    var firstByte = Duration.zero
    /// Memory that the body has drawn.
    var reservation: MemoryReservation?

    init(status: Int, content: Content) {
        self.status = status
        self.content = content
    }

    var rpcError: JSONRPCError? {
        if case .error(let error) = content { error } else { nil }
    }

    /// True if the server understands 2026-07-28, even if it refuses the request: no other revision has these codes.
    var provesModern: Bool {
        switch rpcError?.knownCode {
        case .headerMismatch, .missingClientCapability, .unsupportedVersion: true
        default: false
        }
    }

    /// True if the status is about the caller or the server's load, not about era or session.
    var isAboutTheCaller: Bool { [401, 403, 408, 413, 429].contains(status) }

    /// Error message of the server; empty where it has none.
    var words: String {
        guard let error = rpcError else { return excerpt }
        guard let data = error.data?.string else { return error.message }
        return error.message + " " + data
    }

    /// Failure that the answer represents; nil for a result.
    var failure: MCPCallError? {
        var failure: MCPCallError
        switch (status, content) {
        case (200..<300, .result):
            return nil
        case (200..<300, .error(let error)):
            failure = MCPCallError(
                kind: .rejected, executed: Self.executed(error), detail: "JSON-RPC error \(error.code)")
        case (200..<300, .malformed(let detail, let executed)):
            failure = MCPCallError(kind: .invalid, executed: executed, detail: detail)
        case (200..<300, .nothing):
            failure = MCPCallError(kind: .invalid, executed: .unknown, detail: "no result")
        case (401, _): failure = MCPCallError(kind: .unauthorized, executed: .no, detail: "status 401")
        case (403, _): failure = MCPCallError(kind: .forbidden, executed: .no, detail: "status 403")
        case (429, _): failure = MCPCallError(kind: .rateLimited, executed: .no, detail: "status 429")
        case (400..<500, _):
            failure = MCPCallError(
                kind: .rejected, executed: status == 408 ? .unknown : .no, detail: "status \(status)")
        case (500..., _):
            failure = MCPCallError(kind: .failed, executed: .unknown, detail: "status \(status)")
        default:
            failure = MCPCallError(
                kind: .invalid, executed: status == 307 || status == 308 ? .no : .unknown,
                detail: "unexpected status \(status)")
        }
        failure.status = status
        failure.rpcError = rpcError
        failure.wwwAuthenticate = wwwAuthenticate
        failure.proofNonce = proofNonce
        failure.retryAfter = retryAfter
        failure.setCookies = setCookies
        return failure
    }

    /// Returns whether the message was executed. These codes mean that it was refused as a whole. -32602 is not among
    /// them: a tool may raise it itself.
    static func executed(_ error: JSONRPCError) -> MCPExecuted {
        switch error.knownCode {
        case .parseError, .invalidRequest, .methodNotFound, .headerMismatch, .missingClientCapability,
            .unsupportedVersion:
            .no
        default: .unknown
        }
    }
}

/// Failure of an exchange without an answer.
struct TransportError: Error, Sendable {
    enum Kind: Sendable {
        /// The connection was refused, or ended.
        case refused
        case broken
        /// A connection is impossible: the name or certificate is wrong.
        case impossible
        case timedOut
        case tooLarge
        /// The process's memory budget has no room for the answer.
        case overloaded
        /// The response is not HTTP, or its stream ended without the answer.
        case garbled
    }

    var kind: Kind
    /// False only when it is certain that no byte of the request was sent.
    var sent: Bool
    var detail: String

    /// True if a repetition cannot run anything twice, and may succeed.
    var isRefusal: Bool { !sent && (kind == .refused || kind == .broken) }

    /// Returns the failure of the call when nothing more is tried before `deadline`.
    func failure(now: NIODeadline, deadline: NIODeadline) -> MCPCallError {
        let executed: MCPExecuted = sent ? .unknown : .no
        switch kind {
        case .timedOut where sent || now + .milliseconds(5) >= deadline:
            return MCPCallError(kind: .timeout, executed: executed, detail: "no answer in time")
        case .refused, .broken, .impossible, .timedOut:
            return MCPCallError(kind: .unreachable, executed: executed, detail: detail)
        case .overloaded:
            return MCPCallError(kind: .overloaded, executed: executed, detail: detail)
        case .tooLarge, .garbled:
            return MCPCallError(kind: .invalid, executed: executed, detail: detail)
        }
    }
}
