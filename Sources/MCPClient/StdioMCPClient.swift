package import JSON
package import Logging
package import MCP
import NIOCore
import Synchronization

/// MCP client over stdio: one JSON message a line, both eras, any number of requests in flight.
///
/// The era is determined as over HTTP, with `server/discover`; any error except the modern ones, or silence, means
/// legacy. One client talks to one server process and ends with it.
package final class StdioMCPClient: MCPConversation {
    /// Time limits and revisions of the client.
    package struct Configuration: Sendable {
        /// Revisions that are tried.
        package var era: MCPUpstreamConfiguration.Era
        /// Revision that `initialize` asks for.
        package var legacyVersion: MCPVersion
        /// Time limit of each request, from its start.
        package var timeout: Duration
        /// Silence after `server/discover` that counts as an error. A server that starts slowly is silent too, so this
        /// is long.
        package var probeTimeout: Duration
        /// Largest line, in bytes.
        package var maximumLineBytes: Int

        /// Sets time limits and revisions.
        package init(
            era: MCPUpstreamConfiguration.Era = .auto, legacyVersion: MCPVersion = .latestLegacy,
            timeout: Duration = .seconds(30), probeTimeout: Duration = .seconds(10),
            maximumLineBytes: Int = 16 * 1024 * 1024
        ) {
            self.era = era
            self.legacyVersion = legacyVersion
            self.timeout = timeout
            self.probeTimeout = probeTimeout
            self.maximumLineBytes = maximumLineBytes
        }
    }

    private struct Pending {
        let continuation: CheckedContinuation<JSONObjectText, any Error>
        let onProgress: (@Sendable (MCPProgress) -> Void)?
        /// Called when the subscription that the request opens is acknowledged.
        let onOpen: (@Sendable () -> Void)?
        /// True if the server is notified when the request is cancelled: not for `initialize` and the probe.
        let isCancellable: Bool
    }

    private struct State {
        var pending: [Int64: Pending] = [:]
        var connecting: Task<MCPServerDescription, any Error>?
        var version: MCPVersion?
        var ended = false
    }

    private let configuration: Configuration
    private let handlers: MCPClientHandlers
    private let envelope: RequestEnvelope
    private let clientInfo: Implementation
    private let channel: StdioChannel
    private let process: StdioServerProcess?
    private let notices: UpstreamNotices
    /// Number of unanswered questions of the server.
    private let openQuestions = Atomic<Int>(0)
    private let state = Mutex(State())

    /// Starts a server.
    ///
    /// - Parameter onErrorOutput: Takes the lines of the server's standard error; nil: they are written to this
    ///   process's own.
    /// - Throws: An error of the system when the command cannot be run.
    package convenience init(
        command: String, arguments: [String] = [], environment: StdioServerProcess.Environment = .inherited([:]),
        directory: String? = nil, onErrorOutput: (@Sendable (String) -> Void)? = nil, clientInfo: Implementation,
        handlers: MCPClientHandlers = MCPClientHandlers(), configuration: Configuration = Configuration(),
        logger: Logger
    ) throws {
        let process = try StdioServerProcess(
            command: command, arguments: arguments, environment: environment, directory: directory,
            onErrorOutput: onErrorOutput, limit: configuration.maximumLineBytes)
        self.init(
            channel: process.channel, process: process, clientInfo: clientInfo, handlers: handlers,
            configuration: configuration, logger: logger)
    }

    init(
        channel: StdioChannel, process: StdioServerProcess? = nil, clientInfo: Implementation,
        handlers: MCPClientHandlers, configuration: Configuration, logger: Logger
    ) {
        self.channel = channel
        self.process = process
        self.configuration = configuration
        self.handlers = handlers
        notices = UpstreamNotices(upstream: nil, logger: logger)
        self.clientInfo = clientInfo
        envelope = RequestEnvelope(
            fragments: EnvelopeFragments(
                clientInfo: clientInfo, capabilities: handlers.capabilities,
                legacyVersion: configuration.legacyVersion))
        channel.read { [weak self] line in self?.take(line) }
    }

    // MARK: Requests

    @discardableResult
    package func connect() async throws -> MCPServerDescription {
        let task = state.withLock { state in
            if let task = state.connecting { return task }
            // A task of its own: it continues for other callers when this one is cancelled.
            let task = Task { try await negotiate() }
            state.connecting = task
            return task
        }
        do {
            return try await task.value
        } catch {
            state.withLock { state in
                if state.connecting == task { state.connecting = nil }
            }
            throw error
        }
    }

    package func request(
        _ method: String, params: JSONObject? = nil, onProgress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> JSONObject {
        let version = try await connect().version
        var rounds = InputRounds(params)
        while true {
            let result = try await exchange(
                method, params: rounds.params, version: version, limit: configuration.timeout, onProgress: onProgress)
            guard version.era == .modern else { return result }
            guard ResultType(of: result) != nil else {
                throw MCPCallError(kind: .invalid, executed: .yes, detail: "unknown resultType")
            }
            guard try await rounds.answer(result, handlers) else { return result }
        }
    }

    /// Sends a request and returns its result as the server sent it, `input_required` ones included.
    ///
    /// - Parameters:
    ///   - arguments: The parameter `arguments` as text; nil: it is among the parameters, or absent.
    ///   - capabilities: Capabilities that are declared to a server of 2026-07-28 for this request.
    /// - Throws: `MCPCallError`, whose `rpcError` is the server's JSON-RPC error.
    package func send(
        _ method: String, params: JSONObject?, arguments: JSONFragment? = nil, capabilities: ClientCapabilities,
        timeout: Duration, traceparent: String? = nil, onProgress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> (result: JSONObjectText, era: MCPEra) {
        let version = try await connect().version
        let number = RequestNumber.next()
        let envelope = RequestEnvelope(
            fragments: EnvelopeFragments(
                clientInfo: clientInfo, capabilities: capabilities, legacyVersion: configuration.legacyVersion))
        let body = envelope.request(
            number: number, method: method, params: params,
            // A message is one line.
            arguments: arguments?.singleLine,
            meta: RequestEnvelope.Meta(version: version, progress: onProgress != nil, traceparent: traceparent))
        let result = try await send(
            number, Array(body.readableBytesView), limit: timeout, isCancellable: true, onProgress: onProgress)
        return (result, version.era)
    }

    /// True once the server's output has ended: it has exited, or closed it.
    package var hasEnded: Bool { state.withLock { $0.ended } }

    package func listTools() async throws -> [ToolDefinition] {
        try await list(MCPMethod.toolsList, "tools") { try ToolDefinition(json: $0) }
    }

    package func listen(to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void) async throws {
        let description = try await connect()
        if description.version.era == .modern {
            do {
                _ = try await exchange(
                    MCPMethod.subscriptionsListen, params: ["notifications": filter.json],
                    version: description.version, limit: nil, onOpen: onOpen)
            } catch let failure as MCPCallError where failure.kind == .cancelled {
                throw CancellationError()
            }
            return
        }
        // A legacy server sends other notifications without a subscription.
        if description.capabilities.resources?.subscribe == true {
            for uri in filter.resourceSubscriptions {
                _ = try await request(MCPMethod.resourcesSubscribe, params: ["uri": .string(uri)])
            }
        }
        onOpen()
        while !state.withLock({ $0.ended }) { try await Task.sleep(for: .milliseconds(100)) }
    }

    /// Closes the server's input and waits for its exit.
    package func close() async {
        if let process {
            await process.stop(within: .seconds(2))
        } else {
            channel.end()
        }
        ended()
    }

    // MARK: Negotiation

    private func negotiate() async throws -> MCPServerDescription {
        if configuration.era != .legacy, let modern = try await probe() { return modern }
        guard configuration.era != .modern else {
            throw MCPCallError(kind: .rejected, executed: .no, detail: "the server speaks no modern revision")
        }
        return try await initialize()
    }

    /// Probes the server; nil: it is a legacy one.
    private func probe() async throws -> MCPServerDescription? {
        let version = MCPVersion.latestModern
        let outcome: JSONObject
        do {
            outcome = try await exchange(
                MCPMethod.serverDiscover, params: nil, version: version, limit: configuration.probeTimeout,
                isCancellable: false)
        } catch let failure as MCPCallError {
            switch failure.rpcError?.knownCode {
            case .headerMismatch?, .missingClientCapability?:
                return connected(version, [:])
            case .unsupportedVersion?:
                // The server refused the only modern revision that is supported here.
                return nil
            default:
                guard failure.rpcError != nil || failure.kind == .timeout else { throw failure }
                return nil
            }
        }
        guard let names = outcome["supportedVersions"]?.array?.compactMap(\.string) else { return nil }
        let common = names.compactMap(MCPVersion.init(rawValue:))
        if common.contains(version) { return connected(version, outcome) }
        guard common.contains(where: { $0.era == .legacy }) else {
            throw MCPCallError(kind: .rejected, executed: .no, detail: "no common protocol version")
        }
        return nil
    }

    private func initialize() async throws -> MCPServerDescription {
        var tried = [configuration.legacyVersion]
        while true {
            do {
                return try await initialize(tried[tried.count - 1])
            } catch let failure as MCPCallError {
                guard let error = failure.rpcError,
                    let next = VersionDecision.next(
                        after: MessageResponse(status: 200, content: .error(error)), tried: tried)
                else { throw failure }
                tried.append(next)
            }
        }
    }

    private func initialize(_ requested: MCPVersion) async throws -> MCPServerDescription {
        let number = RequestNumber.next()
        let body = envelope.initialize(number: number, version: requested)
        let result = try await send(number, Array(body.readableBytesView), limit: configuration.timeout).object
        guard let version = result["protocolVersion"]?.string.flatMap(MCPVersion.init(rawValue:)),
            version.era == .legacy
        else { throw MCPCallError(kind: .rejected, executed: .no, detail: "no common protocol version") }
        let description = connected(version, result)
        channel.write(Array(envelope.notification(method: MCPMethod.initialized).readableBytesView))
        return description
    }

    private func connected(_ version: MCPVersion, _ result: JSONObject) -> MCPServerDescription {
        state.withLock { $0.version = version }
        return MCPServerDescription(version: version, result: .object(result))
    }

    // MARK: Exchanges

    /// - Parameter limit: Time limit; nil: none.
    private func exchange(
        _ method: String, params: JSONObject?, version: MCPVersion, limit: Duration?, isCancellable: Bool = true,
        onProgress: (@Sendable (MCPProgress) -> Void)? = nil, onOpen: (@Sendable () -> Void)? = nil
    ) async throws -> JSONObject {
        let number = RequestNumber.next()
        let body = envelope.request(
            number: number, method: method, params: params,
            meta: RequestEnvelope.Meta(version: version, progress: onProgress != nil))
        return try await send(
            number, Array(body.readableBytesView), limit: limit, isCancellable: isCancellable, onProgress: onProgress,
            onOpen: onOpen
        ).object
    }

    private func send(
        _ number: Int64, _ body: [UInt8], limit: Duration?, isCancellable: Bool = false,
        onProgress: (@Sendable (MCPProgress) -> Void)? = nil, onOpen: (@Sendable () -> Void)? = nil
    ) async throws -> JSONObjectText {
        let expiry = limit.map { limit in
            Task { [weak self] in
                try await Task.sleep(for: limit)
                self?.giveUp(number, .timeout, "no answer in time")
            }
        }
        defer { expiry?.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let pending = Pending(
                    continuation: continuation, onProgress: onProgress, onOpen: onOpen,
                    isCancellable: isCancellable)
                let isOpen = state.withLock { state in
                    if !state.ended { state.pending[number] = pending }
                    return !state.ended
                }
                guard isOpen else {
                    return continuation.resume(
                        throwing: MCPCallError(kind: .unreachable, executed: .no, detail: "the server has ended"))
                }
                guard channel.write(body) else {
                    return giveUp(number, .unreachable, "the server does not read its input")
                }
                // The cancellation may have come before there was anything to cancel.
                if Task.isCancelled { giveUp(number, .cancelled, "cancelled by the caller") }
            }
        } onCancel: {
            giveUp(number, .cancelled, "cancelled by the caller")
        }
    }

    private func giveUp(_ number: Int64, _ kind: MCPCallError.Kind, _ detail: String) {
        guard let pending = state.withLock({ $0.pending.removeValue(forKey: number) }) else { return }
        if pending.isCancellable {
            let cancelled = CancelledNotification(requestID: .integer(number), reason: detail)
            channel.write(cancelled.notification.json.serialized)
        }
        pending.continuation.resume(throwing: MCPCallError(kind: kind, executed: .unknown, detail: detail))
    }

    // MARK: Input

    private func take(_ line: InputLine?) {
        guard let line else { return ended() }
        guard case .text(let bytes) = line else { return warn() }
        bytes.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes, maximumDepth: 128)
            guard let document = try? scanner.document() else { return warn() }
            guard document.kind == .array else { return take(document, in: bytes) }
            // In 2025-03-26 a server may put several messages into one array.
            JSONScanner.elements(of: document, in: bytes) { element in
                take(element, in: bytes)
                return true
            }
        }
    }

    /// Warns of a line that cannot be answered; the request that it may belong to will time out.
    private func warn() {
        notices.warn(.transport, "line from the server is no message", [:])
    }

    private func take(_ element: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        guard let message = try? JSONRPCMessage(JSONValue(element, in: bytes)) else { return warn() }
        switch message {
        case .response(let response):
            guard let number = response.id.flatMap(Self.number),
                let pending = state.withLock({ $0.pending.removeValue(forKey: number) })
            else { return }
            let result = JSONScanner.member("result", of: element, in: bytes)
            pending.continuation.resume(with: Self.outcome(response, result, in: bytes))
        case .notification(let notification):
            guard notification.method == MCPMethod.progress else {
                if notification.method == MCPMethod.subscriptionsAcknowledged,
                    case .integer(let number)? = notification.params?["_meta"]?[MCPMeta.subscriptionID].flatMap({
                        RequestID($0)
                    })
                {
                    state.withLock { $0.pending[number]?.onOpen }?()
                }
                handlers.onNotification?(notification)
                return
            }
            guard let progress = try? ProgressNotification(params: notification.params ?? [:]),
                let number = Self.number(progress.token)
            else { return }
            let pending = state.withLock { $0.pending[number] }
            pending?.onProgress?(
                MCPProgress(progress: progress.progress, total: progress.total, message: progress.message))
        case .request(let question):
            answer(question)
        }
    }

    /// Returns the number of this client's request; some servers return it as a string.
    private static func number(_ id: RequestID) -> Int64? {
        switch id {
        case .integer(let number): number
        case .string(let text): Int64(text)
        }
    }

    /// Returns the outcome that a response is.
    ///
    /// - Parameter result: The result in the bytes of the response.
    private static func outcome(
        _ response: JSONRPCResponse, _ result: JSONSlice?, in bytes: UnsafeRawBufferPointer
    ) -> Result<JSONObjectText, any Error> {
        switch response.outcome {
        case .success:
            guard let result, result.kind == .object else {
                return .failure(
                    MCPCallError(kind: .invalid, executed: .yes, detail: "result that is no object"))
            }
            return .success(JSONObjectText(result, in: bytes))
        case .failure(let error):
            return .failure(
                MCPCallError(
                    kind: .rejected, rpcError: error, executed: MessageResponse.executed(error),
                    detail: "JSON-RPC error \(error.code)"))
        }
    }

    /// Answers a request of a legacy server. Modern servers ask in results; their requests violate the revision and are
    /// ignored.
    private func answer(_ question: JSONRPCRequest) {
        let version = state.withLock { $0.version }
        if version?.era == .modern { return }
        if question.method == MCPMethod.ping {
            channel.write(JSONRPCResponse(id: question.id, result: [:]).json.serialized)
            return
        }
        guard openQuestions.add(1, ordering: .relaxed).newValue <= OpenQuestions.streamLimit else {
            openQuestions.subtract(1, ordering: .relaxed)
            let error = JSONRPCError.internalError("More than \(OpenQuestions.streamLimit) questions at once")
            channel.write(JSONRPCResponse(id: question.id, error: error).json.serialized)
            return
        }
        Task { [handlers, channel] in
            let outcome = await handlers.answer(question, version: version ?? .latestLegacy)
            channel.write(JSONRPCResponse(id: question.id, outcome: outcome).json.serialized)
            openQuestions.subtract(1, ordering: .relaxed)
        }
    }

    private func ended() {
        let pending = state.withLock { state in
            defer { state.pending = [:] }
            state.ended = true
            return state.pending
        }
        for request in pending.values {
            request.continuation.resume(
                throwing: MCPCallError(kind: .unreachable, executed: .unknown, detail: "the server has ended"))
        }
    }
}
