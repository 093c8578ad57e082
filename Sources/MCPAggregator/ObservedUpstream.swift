package import MCP
import MCPServer

/// Takes note of an endpoint's requests to its upstreams. Any thread.
package protocol EndpointObserver: Sendable {
    /// A request has ended.
    ///
    /// - Parameters:
    ///   - method: Method name, of those that an endpoint forwards.
    ///   - upstream: Name of the upstream.
    ///   - outcome: `ok`, `tool_error`, `input_required`, `rpc_error`, `cancelled`, or the label of the failure.
    ///   - duration: Time from the sending to the whole result.
    func requestEnded(_ method: String, upstream: String, outcome: String, after duration: Duration)
}

/// An upstream whose requests are taken note of.
package struct ObservedUpstream: EndpointUpstream {
    private let upstream: any EndpointUpstream
    private let observer: any EndpointObserver

    /// Wraps an upstream.
    package init(_ upstream: any EndpointUpstream, observer: any EndpointObserver) {
        self.upstream = upstream
        self.observer = observer
    }

    package var name: String { upstream.name }

    package func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription {
        try await upstream.describe(caller)
    }

    package func revision(for client: MCPVersion) async -> MCPVersion { await upstream.revision(for: client) }

    package func knownRevision(for client: MCPVersion) -> MCPVersion? { upstream.knownRevision(for: client) }

    package func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        let start = ContinuousClock.now
        do {
            let result = try await upstream.send(request)
            note(request, Self.outcome(of: result), since: start)
            return result
        } catch {
            note(request, Self.outcome(of: error), since: start)
            throw error
        }
    }

    package func start(
        _ request: UpstreamRequest, on executor: (any TaskExecutor)?, onEnd: @escaping UpstreamRequest.Ending
    ) -> @Sendable () -> Void {
        let start = ContinuousClock.now
        return upstream.start(request, on: executor) { outcome in
            switch outcome {
            case .success(let result): note(request, Self.outcome(of: result), since: start)
            case .failure(let error): note(request, Self.outcome(of: error), since: start)
            }
            onEnd(outcome)
        }
    }

    package func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        try await upstream.listen(to: filter, onOpen: onOpen, onNotification: onNotification)
    }

    private func note(_ request: UpstreamRequest, _ outcome: String, since start: ContinuousClock.Instant) {
        observer.requestEnded(request.method, upstream: name, outcome: outcome, after: ContinuousClock.now - start)
    }

    private static func outcome(of result: UpstreamResult) -> String {
        if result.result["isError"]?.bool == true { return "tool_error" }
        if result.era == .modern, ResultType(of: result.result) == .inputRequired { return "input_required" }
        return "ok"
    }

    private static func outcome(of error: any Error) -> String {
        switch error {
        case let failure as EndpointError: failure.label
        case is JSONRPCError: "rpc_error"
        default: "cancelled"
        }
    }
}
