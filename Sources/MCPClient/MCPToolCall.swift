package import NIOCore

/// One `notifications/progress` of a call.
package struct MCPProgress: Hashable, Sendable {
    /// Increases with every notification of one call.
    package var progress: Double
    /// Amount at the end, where it is known.
    package var total: Double?
    /// For people; the gateway streams it as a `delta`.
    package var message: String?
    /// The tool that the called one calls in turn (`_meta["dev.chatgateway/tool"]`).
    package var tool: String?

    /// Describes progress.
    package init(progress: Double, total: Double? = nil, message: String? = nil, tool: String? = nil) {
        self.progress = progress
        self.total = total
        self.message = message
        self.tool = tool
    }
}

/// One `tools/call` of the hot path.
package struct MCPToolCall {
    /// Name of the tool.
    package var tool: String
    /// Text of one valid JSON object; goes upstream byte for byte. The caller has validated it.
    package var arguments: ByteBuffer
    /// Credentials of the caller.
    package var credentials: ForwardedCredentials
    /// End of the whole budget: handshake, waits and replays included. Nothing extends it.
    package var deadline: NIODeadline
    /// Longest silence of the upstream, its session's beginning included; each progress notification starts it anew.
    /// nil: only the deadline counts.
    package var idleTimeout: TimeAmount?
    /// Number of other servers that may have run it already: those count against the upstream's `replays`.
    package var earlierRuns = 0
    /// Sent as a header and in `_meta`.
    package var traceparent: String?
    /// Asks for progress (a unique `progressToken`, a streamed answer). Called on the caller's event loop, never after
    /// the completion.
    package var onProgress: ((MCPProgress) -> Void)?

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
