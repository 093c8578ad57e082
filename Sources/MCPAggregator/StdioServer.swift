import JSON
import Logging
import MCP
import MCPClient
import MCPServer
import Synchronization

/// One process of a stdio server: started by its first request, and started again after an exit, at once the first time
/// and with growing pauses while it keeps exiting.
///
/// A question of the server is put to the client of the request that is under way; with several under way it is unknown
/// whose question it is, and it is declined.
final class StdioServer: Sendable {
    /// Everything that the processes of a server have in common.
    struct Settings: Sendable {
        /// Name of the upstream.
        let name: String
        let command: StdioUpstream.Command
        let clientInfo: Implementation
        let configuration: StdioMCPClient.Configuration
        /// Longest request.
        let timeout: Duration
        let logger: Logger
        let now: @Sendable () -> ContinuousClock.Instant
        /// Called for each start of a process; true: after an exit.
        let onStart: @Sendable (_ isRestart: Bool) -> Void
    }

    private struct State {
        var client: StdioMCPClient?
        /// Exits in a row after short lives.
        var exits = 0
        var started: ContinuousClock.Instant?
        var isClosed = false
        /// Requests under way, by number.
        var flights: [UInt64: UpstreamRequest] = [:]
        var nextFlight: UInt64 = 0
        /// Take the notifications of the server.
        var listeners: [UInt64: @Sendable (JSONRPCNotification) -> Void] = [:]
    }

    private let settings: Settings
    private let state = Mutex(State())

    /// Shortest and longest pause before a server that has exited is started again.
    private static let pauses = (shortest: Duration.milliseconds(250), longest: Duration.seconds(30))
    /// A server that has run for so long has not failed to start.
    private static let longLife = Duration.seconds(60)

    init(_ settings: Settings) {
        self.settings = settings
    }

    func describe() async throws -> UpstreamDescription {
        try await withEndpointErrors {
            let description = try await running().connect()
            return UpstreamDescription(
                version: description.version, capabilities: description.capabilities,
                instructions: description.instructions)
        }
    }

    func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        let client = try running()
        let flight = state.withLock { state in
            state.nextFlight += 1
            state.flights[state.nextFlight] = request
            return state.nextFlight
        }
        defer { state.withLock { _ = $0.flights.removeValue(forKey: flight) } }
        return try await withEndpointErrors {
            let answer = try await client.send(
                request.method, params: request.params.isEmpty ? nil : request.params, arguments: request.arguments,
                capabilities: ClientCapabilities(request.features.json), timeout: settings.timeout,
                traceparent: request.traceparent, onProgress: request.onProgress)
            return UpstreamResult(answer.result, era: answer.era)
        }
    }

    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        let client = try running()
        let token = state.withLock { state in
            state.nextFlight += 1
            state.listeners[state.nextFlight] = onNotification
            return state.nextFlight
        }
        defer { state.withLock { _ = $0.listeners.removeValue(forKey: token) } }
        try await withEndpointErrors { try await client.listen(to: filter, onOpen: onOpen) }
    }

    /// True while its process runs.
    var isRunning: Bool { state.withLock { $0.client.map { !$0.hasEnded } ?? false } }

    /// Ends the server: closes its input, waits, then insists.
    func close() async {
        let client = state.withLock { state in
            state.isClosed = true
            return state.client.take()
        }
        await client?.close()
    }

    // MARK: The process

    /// Returns the server's client, and starts the server if it does not run.
    ///
    /// - Throws: ``EndpointError`` when it cannot be started, or while the pause after an exit lasts.
    private func running() throws -> StdioMCPClient {
        try state.withLock { state in
            if let client = state.client, !client.hasEnded { return client }
            guard !state.isClosed else { throw Self.unreachable("the server was ended") }
            let now = settings.now()
            let isRestart = state.client != nil
            if let started = state.started, state.client != nil {
                if now - started >= Self.longLife { state.exits = 0 }
                let pause = state.exits == 0 ? .zero : Self.pause(after: state.exits)
                guard now - started >= pause else { throw Self.unreachable("the server has exited") }
                state.exits += 1
                settings.logger.warning(
                    "stdio server has exited, starting it again",
                    metadata: ["upstream": "\(settings.name)", "exits": .stringConvertible(state.exits)])
            }
            state.started = now
            do {
                let client = try start()
                state.client = client
                settings.onStart(isRestart)
                return client
            } catch {
                settings.logger.warning(
                    "stdio server cannot be started",
                    metadata: ["upstream": "\(settings.name)", "error": "\(error)"])
                throw Self.unreachable("the server cannot be started")
            }
        }
    }

    private static func pause(after exits: Int) -> Duration {
        min(pauses.shortest * (1 << min(exits, 10)), pauses.longest)
    }

    private static func unreachable(_ detail: String) -> EndpointError {
        EndpointError(label: "upstream_unreachable", executed: "no", detail: detail)
    }

    private func start() throws -> StdioMCPClient {
        let features: ClientFeatures = [.roots, .sampling, .elicitation, .elicitationURL]
        var handlers = MCPClientHandlers(onNotification: { [weak self] in self?.notified($0) })
        handlers.onRequest = { [weak self] in await self?.answer($0) ?? Declined.answer(to: $0) }
        handlers.declared = ClientCapabilities(features.json)
        let command = settings.command
        return try StdioMCPClient(
            command: command.command, arguments: command.arguments, environment: .isolated(command.environment),
            directory: command.directory,
            onErrorOutput: { [settings] line in
                settings.logger.info(
                    "stdio server wrote", metadata: ["upstream": "\(settings.name)", "line": "\(line)"])
            }, clientInfo: settings.clientInfo, handlers: handlers, configuration: settings.configuration,
            logger: settings.logger)
    }

    /// The only request under way; nil when there is none or more than one.
    private var onlyFlight: UpstreamRequest? {
        state.withLock { $0.flights.count == 1 ? $0.flights.values.first : nil }
    }

    private func answer(_ question: JSONRPCRequest) async -> Result<JSONValue, JSONRPCError> {
        guard let flight = onlyFlight else { return Declined.answer(to: question) }
        return await withCheckedContinuation { continuation in
            flight.onQuestion(question) { continuation.resume(returning: $0) }
        }
    }

    private func notified(_ notification: JSONRPCNotification) {
        if notification.method == MCPMethod.message {
            onlyFlight?.onNotification(notification)
        } else {
            for listener in state.withLock({ Array($0.listeners.values) }) { listener(notification) }
        }
    }
}
