package import JSON
package import MCP

/// Source of tools, prompts and resources for a server without a registry of its own, such as a gateway in front of
/// other servers.
///
/// The server itself handles the conversation with its client: eras, sessions, streams, cancellation and the sealing of
/// `requestState`.
package protocol RequestForwarder: Sendable {
    /// Capabilities that are declared to clients.
    var capabilities: ServerCapabilities { get }
    /// Instructions that clients get with `initialize` and `server/discover`.
    var instructions: String? { get }

    /// Waits, for a bounded time, until the capabilities are known. Returns at once when they are.
    func prepare() async

    /// Returns the complete result of a request in the caller's revision, cache hints included. The arguments of the
    /// request are text (``JSONRPCRequest/arguments``), to be passed on as they are.
    ///
    /// Called for the methods of tools, prompts, resources and completion.
    /// - Throws: A `JSONRPCError` that is answered as it is, ``InputRequired`` towards a client of 2026-07-28, or
    ///   `CancellationError`.
    func result(of call: JSONRPCRequest, context: ToolContext) async throws -> JSONObjectText

    /// Returns the result of a list of tools where nothing has to be waited for; nil: ``result(of:context:)`` gives it.
    func resultAtHand(of request: DirectRequest, context: ToolContext) -> JSONObjectText?

    /// Begins a call of a tool where nothing has to be waited for, and no header has to agree with an argument.
    ///
    /// - Parameter onFirst: Takes what comes first, once, on any thread, perhaps before this returns.
    /// - Returns: The call; nil: nothing has begun, and ``result(of:context:)`` makes the call.
    func begin(
        _ request: DirectRequest, context: ToolContext, onFirst: @escaping @Sendable (FirstOfCall) -> Void
    ) -> (any BegunCall)?

    /// Returns the input schema of a tool, whose `x-mcp-header` annotations the headers of a call must agree with; nil
    /// for an unknown tool.
    func inputSchema(ofTool name: String) -> JSONValue?

    /// Subscribes to updates of these resources on behalf of a client.
    func watch(_ uris: [String]) async

    /// Passes on the level of the log messages that a legacy client wants.
    func setLogLevel(_ level: LoggingLevel, context: ToolContext) async
}

/// First outcome of a call that was begun.
package enum FirstOfCall: Sendable {
    /// The complete result in the caller's revision.
    case result(JSONObjectText)
    /// The call was cancelled, and gets no answer.
    case cancelled
    /// Something else: progress, a question, a failure. The call goes on where it is.
    case other
}

/// A call that a ``RequestForwarder`` has begun. As ``ToolContext/attachment`` of the same request, it goes on in
/// ``RequestForwarder/result(of:context:)``.
package protocol BegunCall: AnyObject, Sendable {
    /// Cancels the call.
    func cancel()
    /// Leaves what comes first to ``RequestForwarder/result(of:context:)``. False if it has come already.
    func leaveFirst() -> Bool
}

extension MCPServer {
    /// Returns whether a method is answered by a ``RequestForwarder``.
    static func isForwarded(_ method: String) -> Bool {
        switch method {
        case MCPMethod.toolsList, MCPMethod.toolsCall, MCPMethod.promptsList, MCPMethod.promptsGet,
            MCPMethod.resourcesList, MCPMethod.resourcesTemplatesList, MCPMethod.resourcesRead,
            MCPMethod.completionComplete:
            true
        default: false
        }
    }
}

extension ToolContext {
    /// Passes a notification of another server on to the client of this request, on the request's stream.
    package func forward(_ notification: JSONRPCNotification) async {
        guard !Task.isCancelled else { return }
        await channel.emit(notification.json.serialized)
    }

    /// Passes a log message of another server on, if the client wants messages of that level on this request.
    package func forward(log params: JSONObject) async {
        guard let threshold = logLevel, let level = params["level"]?.string.flatMap(LoggingLevel.init(rawValue:)),
            level >= threshold
        else { return }
        await forward(JSONRPCNotification(method: MCPMethod.message, params: params))
    }

    /// Level that the client wants; nil: no log messages on this request.
    package var wantedLogLevel: LoggingLevel? { logLevel }
}
