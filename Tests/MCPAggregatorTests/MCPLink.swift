import CurlTransport
import JSON
import MCP
import MCPClient
import NIOCore

/// Requests of any kind to one upstream on behalf of any caller, for async code.
///
/// All links of an upstream share its sessions. Every method may be called from any task; cancelling the task cancels
/// the request upstream.
final class MCPLink: Sendable {
    /// A request and the listeners of its stream.
    struct Request: Sendable {
        /// Answers a request of a legacy server, once, from any thread.
        typealias Reply = @Sendable (Result<JSONValue, JSONRPCError>) -> Void

        /// Method name.
        var method: String
        /// Parameters; nil for none.
        var params: JSONObject?
        /// The parameter `arguments` as text; nil: it is among the parameters, or absent.
        var arguments: JSONFragment?
        /// Credentials of the caller.
        var credentials: ForwardedCredentials
        /// Budget of the request, its session and its replays.
        var timeout: Duration
        /// Longest silence of the server; nil: only the timeout counts.
        var idleTimeout: Duration?
        /// W3C trace context of the caller.
        var traceparent: String?
        /// Arguments of the called tool that travel as headers too, as its input schema says.
        var inputSchema: JSONValue?
        /// True if the request changes nothing, so that it may be sent again after a failure.
        var isIdempotent: Bool
        /// Called on the event loop.
        var onProgress: (@Sendable (MCPProgress) -> Void)?
        /// Called on the event loop for every other notification.
        var onNotification: (@Sendable (JSONRPCNotification) -> Void)?
        /// Called on the event loop for a request of a legacy server.
        var onQuestion: (@Sendable (JSONRPCRequest, @escaping Reply) -> Void)?

        /// Describes a request.
        init(
            method: String, params: JSONObject?, arguments: JSONFragment? = nil, credentials: ForwardedCredentials,
            timeout: Duration,
            idleTimeout: Duration? = nil, traceparent: String? = nil, inputSchema: JSONValue? = nil,
            isIdempotent: Bool = false, onProgress: (@Sendable (MCPProgress) -> Void)? = nil,
            onNotification: (@Sendable (JSONRPCNotification) -> Void)? = nil,
            onQuestion: (@Sendable (JSONRPCRequest, @escaping Reply) -> Void)? = nil
        ) {
            self.method = method
            self.params = params
            self.arguments = arguments
            self.credentials = credentials
            self.timeout = timeout
            self.idleTimeout = idleTimeout
            self.traceparent = traceparent
            self.inputSchema = inputSchema
            self.isIdempotent = isIdempotent
            self.onProgress = onProgress
            self.onNotification = onNotification
            self.onQuestion = onQuestion
        }
    }

    /// Upstream that requests go to.
    let upstream: MCPUpstream
    private let engine: CurlEngine
    private let eventLoop: any EventLoop
    private let caller: NIOLoopBoundBox<MCPCaller?>

    /// Makes a link whose transfers run on that event loop.
    init(upstream: MCPUpstream, engine: CurlEngine, eventLoop: any EventLoop) {
        self.upstream = upstream
        self.engine = engine
        self.eventLoop = eventLoop
        caller = NIOLoopBoundBox.makeEmptyBox(valueType: MCPCaller.self, eventLoop: eventLoop)
    }

    /// Opens a connection if there is none, and returns the server's description.
    ///
    /// - Throws: `MCPCallError`.
    func connect(_ credentials: ForwardedCredentials, timeout: Duration) async throws -> MCPServerDescription {
        let client = MCPClient(
            upstream: upstream, engine: engine, eventLoop: eventLoop, credentials: credentials, timeout: timeout)
        return try await client.connect()
    }

    /// Sends a request and returns the answer, `input_required` results included.
    ///
    /// - Throws: `MCPCallError`, whose `rpcError` is the server's JSON-RPC error.
    func send(_ request: Request) async throws -> MCPCallResult {
        let flight = NIOLoopBoundBox.makeEmptyBox(valueType: Flight.self, eventLoop: eventLoop)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MCPCallResult, any Error>) in
                eventLoop.execute {
                    // The task can be cancelled before the closure runs, so that the cancellation may have come first.
                    if flight.value?.isCancelled == true {
                        continuation.resume(
                            throwing: MCPCallError(kind: .cancelled, executed: .no, detail: "cancelled"))
                        return
                    }
                    let handle = self.callerOnLoop.send(self.outgoing(request)) { outcome in
                        switch outcome {
                        case .result(let result): continuation.resume(returning: result)
                        case .failure(let failure): continuation.resume(throwing: failure)
                        }
                    }
                    flight.value = Flight(handle: handle)
                }
            }
        } onCancel: {
            eventLoop.execute {
                if let handle = flight.value?.handle {
                    handle.cancel()
                } else {
                    flight.value = Flight(isCancelled: true)
                }
            }
        }
    }

    /// Listens for messages outside of any request; see ``MCPConversation/listen(to:onOpen:)``.
    /// - Throws: ``MCPCallError``, `CancellationError`.
    func listen(
        to filter: SubscriptionFilter, credentials: ForwardedCredentials, timeout: Duration,
        onOpen: @escaping @Sendable () -> Void, onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        let client = MCPClient(
            upstream: upstream, engine: engine, eventLoop: eventLoop, credentials: credentials,
            handlers: MCPClientHandlers(onNotification: onNotification), timeout: timeout)
        try await client.listen(to: filter, onOpen: onOpen)
    }

    private struct Flight {
        var handle: MCPCallHandle?
        var isCancelled = false
    }

    /// Caller on the event loop, on which this must be called.
    private var callerOnLoop: MCPCaller {
        if let made = caller.value { return made }
        let made = MCPCaller(upstream: upstream, engine: engine, eventLoop: eventLoop)
        caller.value = made
        return made
    }

    /// Creates the request. Must be called on the event loop.
    private func outgoing(_ request: Request) -> MCPRequest {
        var outgoing = MCPRequest(
            method: request.method, params: request.params, arguments: request.arguments,
            credentials: request.credentials,
            capabilities: upstream.capabilities, deadline: .now() + TimeAmount(request.timeout),
            idleTimeout: request.idleTimeout.map { TimeAmount($0) }, traceparent: request.traceparent,
            inputSchema: request.inputSchema, isIdempotent: request.isIdempotent, onProgress: request.onProgress,
            onNotification: request.onNotification)
        if let onQuestion = request.onQuestion {
            outgoing.onQuestion = { [eventLoop] question, reply in
                let reply = NIOLoopBound(reply, eventLoop: eventLoop)
                onQuestion(question) { answer in eventLoop.execute { reply.value(answer) } }
            }
        }
        return outgoing
    }
}
