package import NIOCore

/// One `notifications/progress` of a call.
package struct MCPProgress: Hashable, Sendable {
    /// Progress so far; increases with every notification of one call.
    package var progress: Double
    /// Amount at the end, where it is known.
    package var total: Double?
    /// Message for people; the gateway streams it as a `delta`.
    package var message: String?
    /// Tool that the called one calls in turn (`_meta["dev.chatgateway/tool"]`).
    package var tool: String?

    /// Creates a progress notification.
    package init(progress: Double, total: Double? = nil, message: String? = nil, tool: String? = nil) {
        self.progress = progress
        self.total = total
        self.message = message
        self.tool = tool
    }
}

/// A `tools/call` of the hot path.
package struct MCPToolCall {
    /// Name of the tool.
    package var tool: String
    /// Text of one valid JSON object, sent byte for byte. The caller has validated it.
    package var arguments: ByteBuffer
    /// Credentials of the caller.
    package var credentials: ForwardedCredentials
    /// Deadline of the whole call with handshake, waits and repetitions. It is never extended.
    package var deadline: NIODeadline
    /// Longest silence of the upstream, from the start of the call; each progress notification restarts it. Nil: only
    /// the deadline counts.
    package var idleTimeout: TimeAmount?
    /// Number of other servers that may have run it already: those count against the upstream's `replays`.
    package var earlierRuns = 0
    /// W3C trace context, sent as a header and in `_meta`.
    package var traceparent: String?
    /// Listener for progress, which is requested if this is set (a unique `progressToken`, a streamed answer). Called
    /// on the caller's event loop, never after the completion.
    package var onProgress: ((MCPProgress) -> Void)?
    /// Answers to the questions of the tool, with which the call is repeated; nil: none.
    package var input: CallInput?
    /// Key by which the server recognises a write that it has carried out already; nil: none.
    package var idempotencyKey: String?
    /// Listener for questions of the tool to its user. Called on the caller's event loop, never after the completion. A
    /// legacy server's question comes here; with a listener, one of 2026-07-28 is the call's result. Nil: all are
    /// declined.
    package var onQuestion: ((ToolQuestion) -> Void)?
    /// Longest time that the answers to all questions may take together, each with the work that follows; only with
    /// `onQuestion`.
    package var questionTime = TimeAmount.zero

    /// Describes a call.
    package init(
        tool: String, arguments: ByteBuffer, credentials: ForwardedCredentials, deadline: NIODeadline,
        idleTimeout: TimeAmount? = nil, traceparent: String? = nil, onProgress: ((MCPProgress) -> Void)? = nil
    ) {
        self.tool = tool
        self.arguments = arguments
        self.credentials = credentials
        self.deadline = deadline
        self.idleTimeout = idleTimeout
        self.traceparent = traceparent
        self.onProgress = onProgress
    }
}
