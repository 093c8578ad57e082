import JSON
import MCP
import MCPAggregator
import MCPClient
import NIOCore

/// An MCP server that the gateway has started, as one worker calls it. All workers share its processes.
final class StdioEndpoint: Endpoint {
    private let server: StdioUpstream
    private let eventLoop: any EventLoop

    /// Largest number of pages of a tool list that are read.
    private static let maximumPages = 200

    init(_ server: StdioUpstream, eventLoop: any EventLoop) {
        self.server = server
        self.eventLoop = eventLoop
    }

    let retriesRefusals = false

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        guard case .tool(let call) = call else {
            attempt.ended(.refused(GatewayError(.internal, detail: "a stdio server takes calls of tools")))
            return EndedCall()
        }
        let arguments = call.arguments.withUnsafeReadableBytes { try? JSONValue(parsing: $0) }
        let credentials = call.credentials
        let request = UpstreamRequest(
            method: MCPMethod.toolsCall, params: ["name": .string(call.tool), "arguments": arguments ?? [:]],
            caller: EndpointCaller { _ in credentials }, traceparent: call.traceparent,
            onProgress: call.onProgress.map { onProgress in
                let bound = NIOLoopBound(onProgress, eventLoop: eventLoop)
                return { [eventLoop] step in eventLoop.execute { bound.value(step) } }
            })
        let ending = NIOLoopBound(attempt, eventLoop: eventLoop)
        let timeout = call.deadline - .now()
        return StdioCall(
            eventLoop.makeFutureWithTask { [server] in
                try await Self.within(timeout) { try await server.send(request) }
            }, ending)
    }

    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamFailure>) -> Void
    ) {
        let timeout = deadline - .now()
        eventLoop.makeFutureWithTask { [server] in
            try await Self.within(timeout) { try await Self.tools(of: server) }
        }.assumeIsolated().whenComplete { result in
            completion(result.mapError { UpstreamFailure(stdio: $0) })
        }
    }

    private static func tools(of server: StdioUpstream) async throws -> ToolCatalog {
        var tools: [(definition: ToolDefinition, source: JSONValue)] = []
        var params: JSONObject = [:]
        for _ in 0..<maximumPages {
            let page = try await server.send(
                UpstreamRequest(method: MCPMethod.toolsList, params: params, caller: .anonymous))
            tools += (page.result["tools"]?.array ?? []).compactMap { source in
                (try? ToolDefinition(json: source)).map { ($0, source) }
            }
            guard let cursor = page.result["nextCursor"]?.string, .string(cursor) != params["cursor"] else { break }
            params = ["cursor": .string(cursor)]
        }
        // Over stdio there are no headers, so that no tool is dropped for its header annotations.
        return ToolCatalog(tools: tools.map(\.definition), sources: tools.map(\.source), era: .legacy)
    }

    /// Runs an operation with a time limit.
    private static func within<Value: Sendable>(
        _ limit: TimeAmount, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .nanoseconds(max(0, limit.nanoseconds)))
                throw EndpointFailure(label: "upstream_timeout", executed: "unknown", detail: "no answer in time")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }
}

/// A call of a stdio server in progress. Confined to its event loop.
private final class StdioCall: RunningCall {
    private var attempt: NIOLoopBound<CallAttempt>?

    init(_ outcome: EventLoopFuture<UpstreamResult>, _ attempt: NIOLoopBound<CallAttempt>) {
        self.attempt = attempt
        outcome.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let answer):
                finish(MCPCallResult(answer.result, era: answer.era).map { .result($0) } ?? .cancelled)
            case .failure(let error): finish(.failure(UpstreamFailure(stdio: error)))
            }
        }
    }

    func cancel() { finish(.cancelled) }

    private func finish(_ outcome: UpstreamOutcome) { attempt.take()?.value.ended(outcome) }
}

extension UpstreamFailure {
    /// Creates the failure of a call to a stdio server that gave no result.
    init(stdio error: any Error) {
        switch error {
        case let error as JSONRPCError:
            self.init(
                MCPCallFailure(
                    kind: .rejected, rpcError: error, executed: .unknown, detail: "JSON-RPC error \(error.code)"))
        case let failure as EndpointFailure where failure.label == GatewayErrorLabel.overloaded.rawValue:
            self.init(refusal: GatewayError(.overloaded, detail: failure.detail))
        case let failure as EndpointFailure:
            let kind: MCPCallFailure.Kind =
                switch failure.label {
                case "upstream_timeout": .timeout
                case "upstream_unreachable": .unreachable
                default: .invalid
                }
            self.init(
                MCPCallFailure(
                    kind: kind, executed: MCPExecuted(rawValue: failure.executed) ?? .unknown, detail: failure.detail))
        default: self.init(MCPCallFailure(kind: .cancelled, executed: .unknown, detail: "cancelled"))
        }
    }
}
