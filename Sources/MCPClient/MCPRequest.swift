package import JSON
package import MCP
package import NIOCore

/// A request of any method on behalf of any caller, with the listeners of its stream, which are called on the event
/// loop of the ``MCPCaller`` that sends it.
package struct MCPRequest {
    /// Closure that answers a request of a legacy server, once.
    package typealias Reply = (Result<JSONValue, JSONRPCError>) -> Void

    /// Method of the protocol.
    package var method: String
    /// Parameters; nil: none.
    package var params: JSONObject?
    /// The parameter `arguments` as text, which is sent byte for byte; nil: it is among the parameters, or absent.
    package var arguments: JSONFragment?
    /// Headers of the caller that are sent to the server.
    package var credentials: ForwardedCredentials
    /// Revision to use if the server supports it; nil: the one negotiated with the upstream.
    package var version: MCPVersion?
    /// Capabilities of the client for whom the request is sent, as declared to the server.
    package var capabilities: ClientCapabilities
    /// Deadline of the whole request with handshake, waits and repetitions.
    package var deadline: NIODeadline
    /// Longest silence of the server; nil: only the deadline counts.
    package var idleTimeout: TimeAmount?
    /// W3C trace context.
    package var traceparent: String?
    /// Input schema of the called tool, whose `x-mcp-header` annotations say which arguments are sent as headers too.
    package var inputSchema: JSONValue?
    /// True if the request may be repeated after a failure that leaves open whether it ran.
    package var isIdempotent: Bool
    /// Listener for progress notifications; nil: they are not requested.
    package var onProgress: ((MCPProgress) -> Void)?
    /// Listener for every other notification.
    package var onNotification: ((JSONRPCNotification) -> Void)?
    /// Listener for requests of a legacy server.
    package var onQuestion: ((JSONRPCRequest, @escaping Reply) -> Void)?

    /// Describes a request.
    package init(
        method: String, params: JSONObject?, arguments: JSONFragment? = nil, credentials: ForwardedCredentials,
        version: MCPVersion? = nil, capabilities: ClientCapabilities = ClientCapabilities(), deadline: NIODeadline,
        idleTimeout: TimeAmount? = nil,
        traceparent: String? = nil, inputSchema: JSONValue? = nil, isIdempotent: Bool = false,
        onProgress: ((MCPProgress) -> Void)? = nil, onNotification: ((JSONRPCNotification) -> Void)? = nil,
        onQuestion: ((JSONRPCRequest, @escaping Reply) -> Void)? = nil
    ) {
        self.method = method
        self.params = params
        self.arguments = arguments
        self.credentials = credentials
        self.version = version
        self.capabilities = capabilities
        self.deadline = deadline
        self.idleTimeout = idleTimeout
        self.traceparent = traceparent
        self.inputSchema = inputSchema
        self.isIdempotent = isIdempotent
        self.onProgress = onProgress
        self.onNotification = onNotification
        self.onQuestion = onQuestion
    }
}

extension MCPCaller {
    /// Sends a request; `input_required` results are returned unchanged.
    ///
    /// - Parameter completion: Called exactly once, perhaps before this method returns.
    @discardableResult
    package func send(_ request: MCPRequest, completion: @escaping (MCPCallOutcome) -> Void) -> MCPCallHandle {
        let mirrored = request.inputSchema.flatMap { try? ToolHeaderParameters(inputSchema: $0) } ?? .none
        var outgoing = OutgoingRequest(
            body: .other(method: request.method, params: request.params, arguments: request.arguments),
            credentials: request.credentials,
            deadline: request.deadline, idleTimeout: request.idleTimeout, traceparent: request.traceparent,
            replays: request.isIdempotent ? upstream.configuration.replays : 0, takesInputRequests: true,
            mirrored: mirrored,
            onProgress: request.onProgress, onNotification: request.onNotification)
        outgoing.onRequest = request.onQuestion
        return variant(request.version, request.capabilities).perform(outgoing, completion: completion)
    }

    /// Opens a connection if there is none; the result is the server's description, from `initialize` or
    /// `server/discover`.
    ///
    /// - Parameter completion: Called exactly once, perhaps before this method returns.
    package func describe(
        _ credentials: ForwardedCredentials, deadline: NIODeadline, completion: @escaping (MCPCallOutcome) -> Void
    ) {
        ConnectDriver(caller: self, credentials: credentials) { result in
            switch result {
            case .failure(let failure): completion(.failure(failure))
            case .success(let connection):
                let description = (try? JSONValue(parsing: connection.description))?.object ?? [:]
                guard let result = MCPCallResult(description, era: connection.era) else {
                    let failure = MCPCallError(kind: .invalid, executed: .no, detail: "no description of the server")
                    return completion(.failure(failure))
                }
                completion(.result(result))
            }
        }.start(deadline: deadline)
    }
}

extension MCPCallResult {
    /// Creates a result from text that did not come as one message.
    package init(_ result: JSONObjectText, era: MCPEra) {
        let fragment = result.fragment
        self.init(
            message: ByteBuffer(bytes: fragment.bytes), result: fragment.withSlice { slice, _ in slice }, era: era)
    }

    /// Creates a result from a value that did not come as one message; nil for one beyond the scanner's limits.
    package init?(_ result: JSONObject, era: MCPEra) {
        let message = ByteBuffer(bytes: JSONValue.object(result).serialized)
        let slice = message.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            return try? scanner.document()
        }
        guard let slice else { return nil }
        self.init(message: message, result: slice, era: era)
    }
}
