import JSON
import MCP
import MCPAggregator
import MCPClient
import MCPServer
import NIOCore
import ProcessMemory

/// An MCP server that the gateway has started, as one worker calls it. All workers share its processes.
final class StdioEndpoint: Endpoint {
    private let server: StdioUpstream
    private let eventLoop: any EventLoop
    /// Budget from which the list of tools draws.
    private let memory: MemoryBudget
    /// The list of tools as it was read last.
    private var listed: CatalogReading.Whole?

    /// - Parameter memory: Budget of the process.
    init(_ server: StdioUpstream, eventLoop: any EventLoop, memory: MemoryBudget = .unlimited) {
        self.server = server
        self.eventLoop = eventLoop
        self.memory = memory
    }

    let retriesRefusals = false

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        let running = StdioCall(attempt, eventLoop: eventLoop, memory: memory)
        switch call {
        case .tool(let call):
            let request = request(call, of: running)
            running.start(call, until: call.deadline) { [server] in try await server.send(request) }
        case .request(let call):
            let request = request(call, of: running)
            running.start(until: call.deadline) { [server] in try await server.send(request) }
        case .describe(let credentials, _):
            // The time that a program needs to start is bounded by the server itself.
            running.start { [server] in
                let description = try await server.describe(EndpointCaller { _ in credentials })
                var object: JSONObject = [
                    "protocolVersion": .string(description.version.rawValue),
                    "capabilities": description.capabilities.json(for: description.version),
                ]
                if let instructions = description.instructions { object["instructions"] = .string(instructions) }
                return UpstreamResult(object, era: description.version.era)
            }
        case .payload:
            attempt.ended(.refused(GatewayError(.internal, detail: "a stdio server takes requests of MCP")))
            return EndedCall()
        }
        return running
    }

    private func request(_ call: MCPToolCall, of running: StdioCall) -> UpstreamRequest {
        let arguments = call.arguments.withUnsafeReadableBytes { bytes -> JSONFragment? in
            var scanner = JSONScanner(bytes)
            return (try? scanner.document()).map { JSONFragment($0, in: bytes) }
        }
        var params = call.input?.members ?? [:]
        params["name"] = .string(call.tool)
        if let key = call.idempotencyKey { params["_meta"] = .object([MCPMeta.idempotencyKey: .string(key)]) }
        let credentials = call.credentials
        let bound = NIOLoopBound(running, eventLoop: eventLoop)
        return UpstreamRequest(
            method: MCPMethod.toolsCall, params: params, arguments: arguments ?? JSONFragment([:]),
            caller: EndpointCaller { _ in credentials },
            features: call.onQuestion == nil ? [] : [.elicitation, .elicitationURL], traceparent: call.traceparent,
            onProgress: running.whileRunning(call.onProgress),
            onQuestion: { [eventLoop] question, reply in
                eventLoop.execute { bound.value.asked(question, reply) }
            })
    }

    private func request(_ request: MCPRequest, of running: StdioCall) -> UpstreamRequest {
        let credentials = request.credentials
        let onNotification = running.whileRunning(request.onNotification)
        let onQuestion = request.onQuestion.map { NIOLoopBound($0, eventLoop: eventLoop) }
        return UpstreamRequest(
            method: request.method, params: request.params ?? [:], arguments: request.arguments,
            caller: EndpointCaller { _ in credentials }, version: request.version ?? .latestModern,
            features: ClientFeatures(request.capabilities.declared),
            inputSchema: request.inputSchema, isIdempotent: request.isIdempotent, traceparent: request.traceparent,
            onProgress: running.whileRunning(request.onProgress), onNotification: { onNotification?($0) },
            onQuestion: { [eventLoop] question, reply in
                guard let onQuestion else { return reply(Declined.answer(to: question)) }
                eventLoop.execute { onQuestion.value(question, reply) }
            })
    }

    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void
    ) {
        let timeout = deadline - .now()
        let reading = CatalogReading(memory: memory, former: listed)
        eventLoop.makeFutureWithTask { [server] in
            try await Self.within(timeout) { try await Self.list(of: server, reading) }
        }.assumeIsolated().whenComplete { [self] result in
            if case .success(let whole) = result { listed = whole }
            completion(result.map(\.catalog).mapError { UpstreamError(stdio: $0) })
        }
    }

    private static func list(of server: StdioUpstream, _ reading: CatalogReading) async throws -> CatalogReading.Whole {
        var params: JSONObject = [:]
        while true {
            var page = try await server.send(
                UpstreamRequest(method: MCPMethod.toolsList, params: params, caller: .anonymous)
            ).result
            if page.kind(of: "tools") != .array { page.join("tools", []) }
            // Header annotations do not count over stdio: as in a legacy list, they drop no tool.
            let step = try await ParsingQueue.lists.run { [page] in
                reading.take(MCPCallResult(page, era: .legacy))
            }
            switch step {
            case .next(let cursor): params = ["cursor": .string(cursor)]
            case .end(let whole): return whole
            case .invalid:
                throw EndpointError(label: "upstream_invalid", executed: "yes", detail: "tools/list without tools")
            case .noRoom:
                throw EndpointError(
                    label: "overloaded", executed: "yes", detail: "no room in limits.memory for the list of tools")
            }
        }
    }

    /// Runs an operation with a time limit.
    private static func within<Value: Sendable>(
        _ limit: TimeAmount, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .nanoseconds(max(0, limit.nanoseconds)))
                throw EndpointError(label: "upstream_timeout", executed: "unknown", detail: "no answer in time")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }
}

/// A call of a stdio server in progress. Confined to its event loop.
private final class StdioCall: RunningCall {
    private let eventLoop: any EventLoop
    private let memory: MemoryBudget
    /// Nil once there is an outcome.
    private var attempt: CallAttempt?
    /// The call, if it is one of a tool, whose questions to its user are counted here; nil: another request.
    private var tool: MCPToolCall?
    private var task: Task<Void, Never>?
    /// Timer of the deadline; nil while the user is asked.
    private var expiry: Scheduled<Void>?
    private var openQuestions = 0
    private var hasDeclined = false

    /// - Parameter memory: Budget from which the answer draws.
    init(_ attempt: CallAttempt, eventLoop: any EventLoop, memory: MemoryBudget) {
        self.attempt = attempt
        self.eventLoop = eventLoop
        self.memory = memory
    }

    /// - Parameters:
    ///   - tool: Call of a tool; nil: another request.
    ///   - deadline: End of the time for an answer; nil: the body is bounded by itself.
    ///   - body: Asks the server. It is cancelled with the call, so that the server does not work for a caller who has
    ///     left.
    func start(
        _ tool: MCPToolCall? = nil, until deadline: NIODeadline? = nil,
        _ body: @escaping @Sendable () async throws -> UpstreamResult
    ) {
        self.tool = tool
        if let deadline { expire(at: deadline) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        task = Task { [eventLoop, memory] () async -> Void in
            let result = await StdioCall.outcome(memory, body)
            eventLoop.execute { bound.value.ended(result) }
        }
    }

    private static func outcome(
        _ memory: MemoryBudget, _ body: @Sendable () async throws -> UpstreamResult
    ) async -> Result<MCPCallResult, any Error> {
        do { return .success(try await message(of: try await body(), memory)) } catch { return .failure(error) }
    }

    /// Returns a result as a message; a long one is written beside the event loop and the concurrency pool.
    ///
    /// - Throws: ``EndpointError`` when the budget has no room for it.
    private static func message(of answer: UpstreamResult, _ memory: MemoryBudget) async throws -> MCPCallResult {
        let size = answer.result.sizeLimit
        var reservation: MemoryReservation?
        guard memory.hold(size, in: &reservation) else {
            throw EndpointError(
                label: GatewayErrorLabel.overloaded.rawValue, executed: MCPExecuted.yes.rawValue,
                detail: "no room in limits.memory for the answer")
        }
        var result =
            size < ParsingQueue.longAnswer
            ? MCPCallResult(answer.result, era: answer.era)
            : try await ParsingQueue.answers.run { MCPCallResult(answer.result, era: answer.era) }
        result.reservation = reservation
        result.asks = answer.era == .modern && ResultType(of: answer.result) == .inputRequired
        return result
    }

    /// Returns a closure for any thread that calls the listener on the event loop, until there is an outcome.
    func whileRunning<Event: Sendable>(_ listener: ((Event) -> Void)?) -> (@Sendable (Event) -> Void)? {
        guard let listener else { return nil }
        let bound = NIOLoopBound((self, listener), eventLoop: eventLoop)
        return { [eventLoop] event in
            eventLoop.execute {
                let (call, listener) = bound.value
                if call.attempt != nil { listener(event) }
            }
        }
    }

    func cancel() { end(.cancelled) }

    private func expire(at deadline: NIODeadline) {
        expiry?.cancel()
        expiry = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            end(
                .failure(
                    UpstreamError(
                        MCPCallError(kind: .timeout, executed: .unknown, detail: "no answer in time"))))
        }
    }

    /// Handles a question of the tool to its user.
    func asked(_ request: JSONRPCRequest, _ reply: @escaping UpstreamRequest.Reply) {
        guard request.method == MCPMethod.elicitationCreate, attempt != nil else {
            return reply(Declined.answer(to: request))
        }
        guard let onQuestion = tool?.onQuestion else {
            hasDeclined = true
            return reply(Declined.answer(to: request))
        }
        openQuestions += 1
        expiry?.cancel()
        expiry = nil
        onQuestion(
            ToolQuestion(request) { [self] answer, deadline, _ in
                openQuestions -= 1
                if openQuestions == 0, attempt != nil { expire(at: deadline) }
                reply(answer)
            })
    }

    private func ended(_ result: Result<MCPCallResult, any Error>) {
        switch result {
        case .failure(let error): end(.failure(UpstreamError(stdio: error)))
        case .success(var result):
            guard let tool else {
                result.asks = false
                return end(.result(result))
            }
            result.hasDeclined = hasDeclined
            guard !result.asks || tool.onQuestion != nil else {
                var failure = MCPCallError(
                    kind: .rejected, executed: .unknown, detail: "the tool asks for input, which it cannot get")
                failure.hasDeclined = true
                return end(.failure(UpstreamError(failure)))
            }
            end(.result(result))
        }
    }

    /// Ends the call once; what the server still says is ignored.
    private func end(_ outcome: UpstreamOutcome) {
        guard let attempt = attempt.take() else { return }
        expiry?.cancel()
        expiry = nil
        tool = nil
        task?.cancel()
        task = nil
        attempt.ended(outcome)
    }
}

extension UpstreamError {
    /// Creates the failure of a call to a stdio server that gave no result.
    init(stdio error: any Error) {
        switch error {
        case let error as JSONRPCError:
            self.init(
                MCPCallError(
                    kind: .rejected, rpcError: error, executed: .unknown, detail: "JSON-RPC error \(error.code)"))
        case let failure as EndpointError
        where failure.label == GatewayErrorLabel.overloaded.rawValue && failure.executed == MCPExecuted.no.rawValue:
            self.init(refusal: GatewayError(.overloaded, detail: failure.detail))
        case let failure as EndpointError:
            let kind: MCPCallError.Kind =
                switch failure.label {
                case "upstream_timeout": .timeout
                case "upstream_unreachable": .unreachable
                case "upstream_failed": .failed
                case "upstream_rejected": .rejected
                case "overloaded": .overloaded
                default: .invalid
                }
            self.init(
                MCPCallError(
                    kind: kind, executed: MCPExecuted(rawValue: failure.executed) ?? .unknown, detail: failure.detail))
        default: self.init(MCPCallError(kind: .cancelled, executed: .unknown, detail: "cancelled"))
        }
    }
}
