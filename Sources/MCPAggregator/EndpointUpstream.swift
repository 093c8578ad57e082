package import JSON
package import MCP
package import MCPClient
package import MCPServer
package import ProcessMemory

/// A server behind an endpoint, of any protocol.
package protocol EndpointUpstream: Sendable {
    /// Name in the configuration, for logs, metrics and errors.
    var name: String { get }

    /// Opens a connection if there is none, and returns the server's description.
    ///
    /// - Throws: ``EndpointError``.
    func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription

    /// Returns the revision that is used with the server for a client of that revision: the client's own where the
    /// server supports it, so that the server offers the same as to such a client.
    func revision(for client: MCPVersion) async -> MCPVersion

    /// Returns the same without waiting; nil where the server has not said yet which revisions it speaks.
    func knownRevision(for client: MCPVersion) -> MCPVersion?

    /// Sends a request and returns its result as the server sent it, `input_required` ones included.
    ///
    /// Cancelling the task cancels the request at the server.
    /// - Throws: ``EndpointError``; a `JSONRPCError` that the server answered; `CancellationError`.
    func send(_ request: UpstreamRequest) async throws -> UpstreamResult

    /// Sends a request like ``send(_:)``, without waiting for its result.
    ///
    /// - Parameters:
    ///   - executor: Executor of the request's task, where it needs one; nil: the concurrency pool.
    ///   - onEnd: Takes the outcome, once, on any thread, perhaps before this method returns.
    /// - Returns: Closure that cancels the request.
    func start(
        _ request: UpstreamRequest, on executor: (any TaskExecutor)?, onEnd: @escaping UpstreamRequest.Ending
    ) -> @Sendable () -> Void

    /// Passes on notifications outside of any request until the task is cancelled or the server ends the stream.
    ///
    /// - Parameters:
    ///   - onOpen: Called when the stream is open, for the first time and after each interruption.
    ///   - onNotification: Called for every notification. It must not block.
    /// - Throws: ``EndpointError`` where the server offers no such stream, and `CancellationError`.
    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws
}

extension EndpointUpstream {
    package func knownRevision(for client: MCPVersion) -> MCPVersion? { nil }

    package func start(
        _ request: UpstreamRequest, on executor: (any TaskExecutor)?, onEnd: @escaping UpstreamRequest.Ending
    ) -> @Sendable () -> Void {
        startTask(request, on: executor, onEnd: onEnd)
    }

    /// Sends a request with ``send(_:)`` in a task of its own; the parameters are those of ``start(_:on:onEnd:)``.
    package func startTask(
        _ request: UpstreamRequest, on executor: (any TaskExecutor)?, onEnd: @escaping UpstreamRequest.Ending
    ) -> @Sendable () -> Void {
        let task = Task.immediate(executorPreference: executor) {
            let outcome: Result<UpstreamResult, any Error>
            do { outcome = .success(try await send(request)) } catch { outcome = .failure(error) }
            onEnd(outcome)
        }
        return { task.cancel() }
    }
}

/// The sender of a request, reduced to what the upstreams receive of it.
package struct EndpointCaller: Sendable {
    /// Headers and cookies of this caller that are sent to an upstream, by its name.
    package let credentials: @Sendable (_ upstream: String) -> ForwardedCredentials

    /// Creates a caller.
    package init(credentials: @escaping @Sendable (_ upstream: String) -> ForwardedCredentials) {
        self.credentials = credentials
    }

    /// A caller without credentials; the endpoint's own requests use it.
    package static let anonymous = EndpointCaller { _ in .anonymous }
}

/// A server's description, from `initialize` or `server/discover`.
package struct UpstreamDescription: Sendable {
    /// Revision that the client uses.
    package let version: MCPVersion
    package let capabilities: ServerCapabilities
    package let instructions: String?

    /// Creates a description.
    package init(version: MCPVersion, capabilities: ServerCapabilities, instructions: String? = nil) {
        self.version = version
        self.capabilities = capabilities
        self.instructions = instructions
    }
}

/// A request to an upstream.
///
/// A class for its size: it passes through several functions, and each would keep a copy.
package final class UpstreamRequest: Sendable {
    /// Closure that answers a question of the server (elicitation, sampling, roots), once.
    package typealias Reply = @Sendable (Result<JSONValue, JSONRPCError>) -> Void
    /// Closure that takes the outcome of a request, once.
    package typealias Ending = @Sendable (Result<UpstreamResult, any Error>) -> Void

    /// Method name.
    package let method: String
    /// Parameters of the request.
    package let params: JSONObject
    /// The parameter `arguments` as text, which is sent byte for byte; nil: it is among the parameters, or absent.
    package let arguments: JSONFragment?
    /// Caller in whose name the request is sent.
    package let caller: EndpointCaller
    /// Revision of the client.
    package let version: MCPVersion
    /// Capabilities of the client, which are declared to the server.
    package let features: ClientFeatures
    /// Input schema of the called tool, where its `x-mcp-header` annotations say that arguments are sent as headers too.
    package let inputSchema: JSONValue?
    /// True if the tool's annotations say that a second run changes nothing more.
    package let isIdempotent: Bool
    /// W3C trace context.
    package let traceparent: String?
    /// Listener for progress notifications; nil: the client did not request progress.
    package let onProgress: (@Sendable (MCPProgress) -> Void)?
    /// Listener for every other notification on the request's stream. It must not block.
    package let onNotification: @Sendable (JSONRPCNotification) -> Void
    /// Listener for requests of a legacy server to its client.
    package let onQuestion: @Sendable (JSONRPCRequest, @escaping Reply) -> Void

    /// Creates a request.
    package init(
        method: String, params: JSONObject, arguments: JSONFragment? = nil, caller: EndpointCaller,
        version: MCPVersion = .latestModern, features: ClientFeatures = [],
        inputSchema: JSONValue? = nil, isIdempotent: Bool = false, traceparent: String? = nil,
        onProgress: (@Sendable (MCPProgress) -> Void)? = nil,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void = { _ in },
        onQuestion: @escaping @Sendable (JSONRPCRequest, @escaping Reply) -> Void = { question, reply in
            reply(Declined.answer(to: question))
        }
    ) {
        self.method = method
        self.params = params
        self.arguments = arguments
        self.caller = caller
        self.version = version
        self.features = features
        self.inputSchema = inputSchema
        self.isIdempotent = isIdempotent
        self.traceparent = traceparent
        self.onProgress = onProgress
        self.onNotification = onNotification
        self.onQuestion = onQuestion
    }
}

/// The result of a request, as the server sent it.
package struct UpstreamResult: Sendable {
    /// Result of the request, as its text.
    package let result: JSONObjectText
    /// Era of the server, which determines how the result is read.
    package let era: MCPEra
    /// Memory that the text has drawn.
    let reservation: MemoryReservation?

    /// Creates a result.
    package init(_ result: JSONObjectText, era: MCPEra, reservation: MemoryReservation? = nil) {
        self.result = result
        self.era = era
        self.reservation = reservation
    }

    /// True for a result that asks for nothing more.
    var isComplete: Bool { era == .legacy || ResultType(of: result) == .complete }

    /// Creates a result of values.
    package init(_ result: JSONObject, era: MCPEra) {
        self.init(JSONObjectText(result), era: era)
    }
}

/// Failure of a request that got no answer of the server.
package struct EndpointError: Error, Hashable, CustomStringConvertible {
    /// Error label, such as `upstream_unreachable`.
    package let label: String
    /// Answer to whether the tool was executed: `no`, `yes` or `unknown`.
    package let executed: String
    /// Text for the log, without credentials and data of the caller.
    package let detail: String

    /// Creates a failure.
    package init(label: String, executed: String, detail: String) {
        self.label = label
        self.executed = executed
        self.detail = detail
    }

    package var description: String { "\(label): \(detail)" }

    /// Returns the JSON-RPC error for the client.
    func error(from upstream: String) -> JSONRPCError {
        JSONRPCError(
            .internalError, "MCP error",
            data: ["upstream": .string(upstream), "label": .string(label), "executed": .string(executed)])
    }
}

/// Answers on behalf of a user who cannot be asked.
package enum Declined {
    /// Returns the answer to a request of a legacy server: a decline, no roots, or the error of a refused request.
    package static func answer(to question: JSONRPCRequest) -> Result<JSONValue, JSONRPCError> {
        switch question.method {
        case MCPMethod.ping: .success([:])
        case MCPMethod.elicitationCreate: .success(ElicitResult(action: .decline).json)
        case MCPMethod.rootsList: .success(["roots": []])
        case MCPMethod.samplingCreateMessage:
            .failure(JSONRPCError(code: -1, message: "User rejected sampling request"))
        default: .failure(.methodNotFound(question.method))
        }
    }
}

/// Runs requests to a server, whose failures become the endpoint's errors.
///
/// - Throws: errors of `body`; of a ``MCPCallError`` its ``MCPCallError/endpointError``.
func withEndpointErrors<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch let failure as MCPCallError {
        throw failure.endpointError
    }
}

extension MCPCallError {
    /// Error of the endpoint for a failed request: the server's own, or a failure with its label.
    package var endpointError: any Error {
        if let rpcError { return rpcError }
        let label: String
        switch kind {
        case .cancelled: return CancellationError()
        case .unauthorized: label = "unauthorized"
        case .forbidden: label = "forbidden"
        case .rateLimited: label = "upstream_rate_limited"
        case .rejected: label = "upstream_rejected"
        case .failed: label = "upstream_failed"
        case .invalid: label = "upstream_invalid"
        case .unreachable: label = "upstream_unreachable"
        case .timeout: label = "upstream_timeout"
        case .overloaded: label = "overloaded"
        }
        return EndpointError(label: label, executed: executed.rawValue, detail: detail)
    }
}
