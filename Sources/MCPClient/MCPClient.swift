package import CurlTransport
package import JSON
package import MCP
package import NIOCore

/// Description that a server gives of itself.
package struct MCPServerDescription: Sendable {
    /// Revision that both sides use.
    package var version: MCPVersion
    /// Name and version of the server.
    package var serverInfo: Implementation?
    /// Capabilities of the server.
    package var capabilities: ServerCapabilities
    /// Hints for the model on using the server.
    package var instructions: String?
    /// Revisions that a server of 2026-07-28 declares, legacy ones among them; empty for a legacy server.
    package var supportedVersions: [MCPVersion]

    /// - Parameter result: Result of `initialize` or `server/discover`.
    init(version: MCPVersion, result: JSONValue) {
        self.version = version
        let info = result["serverInfo"] ?? result["_meta"]?[MCPMeta.serverInfo]
        serverInfo = info.flatMap { try? Implementation(json: $0) }
        capabilities = (try? ServerCapabilities(json: result["capabilities"] ?? [:])) ?? ServerCapabilities()
        instructions = result["instructions"]?.string
        supportedVersions =
            result["supportedVersions"]?.array?.compactMap { $0.string.flatMap(MCPVersion.init(rawValue:)) } ?? []
    }
}

/// MCP client for async code, based on the state machine that also drives the gateway's calls.
///
/// All methods may be called from any task, several at a time; cancelling the task cancels the request at the server.
/// Failures are thrown as `MCPCallError`; a JSON-RPC error is its `rpcError`.
package final class MCPClient: MCPConversation {
    /// Upstream that is called.
    package let upstream: MCPUpstream
    /// Credentials of every request.
    package let credentials: ForwardedCredentials
    /// Time limit of each request, from its start.
    package let timeout: Duration
    let handlers: MCPClientHandlers
    private let engine: CurlEngine
    let eventLoop: any EventLoop
    private let caller: NIOLoopBoundBox<MCPCaller?>

    /// - Parameter handlers: The upstream must declare their `capabilities`.
    package init(
        upstream: MCPUpstream, engine: CurlEngine, eventLoop: any EventLoop,
        credentials: ForwardedCredentials = .anonymous, handlers: MCPClientHandlers = MCPClientHandlers(),
        timeout: Duration = .seconds(30)
    ) {
        self.upstream = upstream
        self.engine = engine
        self.eventLoop = eventLoop
        self.credentials = credentials
        self.handlers = handlers
        self.timeout = timeout
        caller = NIOLoopBoundBox.makeEmptyBox(valueType: MCPCaller.self, eventLoop: eventLoop)
    }

    /// Opens a connection if there is none (a session, in the legacy era), and returns the server's description.
    @discardableResult
    package func connect() async throws -> MCPServerDescription {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        let connection = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<UpstreamConnection, any Error>) in
            eventLoop.execute {
                ConnectDriver(caller: self.callerOnLoop, credentials: self.credentials) { result in
                    continuation.resume(with: result.mapError { $0 })
                }.start(deadline: deadline)
            }
        }
        return MCPServerDescription(
            version: connection.version, result: (try? JSONValue(parsing: connection.description)) ?? [:])
    }

    /// Ends the upstream's sessions.
    package func close() async {
        await upstream.close(engine)
    }

    /// Sends any request and returns its complete result.
    package func request(
        _ method: String, params: JSONObject? = nil, onProgress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> JSONObject {
        var rounds = InputRounds(params)
        while true {
            let answer = try await exchange(method, params: rounds.params, onProgress: onProgress)
            let result = answer.message.withUnsafeReadableBytes { JSONValue(answer.result, in: $0) }.object ?? [:]
            guard answer.era == .modern, try await rounds.answer(result, handlers) else { return result }
        }
    }

    // MARK: Inside

    /// Caller on the event loop, on which this must be called.
    var callerOnLoop: MCPCaller {
        if let made = caller.value { return made }
        let made = MCPCaller(upstream: upstream, engine: engine, eventLoop: eventLoop)
        caller.value = made
        return made
    }

    private struct Flight {
        var handle: MCPCallHandle?
        var cancelled = false
    }

    /// - Parameters:
    ///   - limit: Time limit in place of `timeout`.
    ///   - onNotification: Listener in place of the handlers'.
    func exchange(
        _ method: String, params: JSONObject?, onProgress: (@Sendable (MCPProgress) -> Void)? = nil,
        limit: Duration? = nil, onNotification: (@Sendable (JSONRPCNotification) -> Void)? = nil
    ) async throws -> MCPCallResult {
        let deadline = NIODeadline.now() + TimeAmount(limit ?? timeout)
        let flight = NIOLoopBoundBox.makeEmptyBox(valueType: Flight.self, eventLoop: eventLoop)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MCPCallResult, any Error>) in
                eventLoop.execute {
                    // The task can be cancelled before the closure runs, so that the cancellation may have come first.
                    if flight.value?.cancelled == true {
                        continuation.resume(
                            throwing: MCPCallError(kind: .cancelled, executed: .no, detail: "cancelled"))
                        return
                    }
                    var request = self.outgoing(method, params, deadline: deadline, onProgress: onProgress)
                    if let onNotification { request.onNotification = onNotification }
                    let handle = self.callerOnLoop.perform(request) { outcome in
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
                    flight.value = Flight(cancelled: true)
                }
            }
        }
    }

    /// Creates the request. Must be called on the event loop.
    private func outgoing(
        _ method: String, _ params: JSONObject?, deadline: NIODeadline, onProgress: (@Sendable (MCPProgress) -> Void)?
    ) -> OutgoingRequest {
        var entry: ToolCatalog.Entry?
        if method == MCPMethod.toolsCall, let tool = params?["name"]?.string { entry = upstream.catalog?[tool] }
        // All methods but a tool call only read.
        let isIdempotent =
            method != MCPMethod.toolsCall || upstream.configuration.trusted && entry?.mayRunTwice == true
        var request = OutgoingRequest(
            body: .other(method: method, params: params), credentials: credentials, deadline: deadline,
            replays: isIdempotent ? upstream.configuration.replays : 0, takesInputRequests: true,
            mirrored: entry?.mirrored ?? .none,
            onProgress: onProgress, onNotification: handlers.onNotification)
        request.onRequest = answerer
        return request
    }

    /// Passes the requests of a legacy server to the handlers. Only for the event loop.
    var answerer: OutgoingRequest.RequestAnswerer {
        { [handlers, loop = eventLoop] question, reply in
            let reply = NIOLoopBound(reply, eventLoop: loop)
            Task {
                let answer = await handlers.answer(question, version: .latestLegacy)
                loop.execute { reply.value(answer) }
            }
        }
    }

    /// Lists the tools, all pages, and keeps them as the upstream's catalog. In the modern era tools with invalid header
    /// annotations are left out.
    package func listTools() async throws -> [ToolDefinition] {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        return try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<[ToolDefinition], any Error>) in
            eventLoop.execute {
                self.callerOnLoop.refreshCatalog(credentials: self.credentials, deadline: deadline) { result in
                    continuation.resume(with: result.map { $0.entries.map(\.definition) }.mapError { $0 })
                }
            }
        }
    }
}
