import JSON
package import Logging
package import MCP
import MCPClient
import MCPServer
import Synchronization

/// An MCP server that the gateway starts, talks to over its standard input and output, and ends.
///
/// One process serves all callers, or each caller has one of its own. The endpoint itself and callers without credentials
/// share one.
package final class StdioUpstream: EndpointUpstream {
    /// Command line, environment and directory of a server.
    package struct Command: Hashable, Sendable {
        /// Path, or a name looked up in `PATH`.
        package var command: String
        /// Arguments of the command.
        package var arguments: [String]
        /// Variables in addition to `PATH`, `HOME` and `LANG`.
        package var environment: [String: String]
        /// Working directory; nil: the gateway's own.
        package var directory: String?

        /// Creates a command.
        package init(
            command: String, arguments: [String] = [], environment: [String: String] = [:], directory: String? = nil
        ) {
            self.command = command
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
        }
    }

    /// Bounds of the processes of callers of which each has its own.
    package struct PerCaller: Hashable, Sendable {
        /// Processes at a time, the shared one of anonymous callers apart.
        package var processes: Int
        /// Time after which an unused process is ended.
        package var idle: Duration

        /// Sets the bounds.
        package init(processes: Int, idle: Duration) {
            self.processes = processes
            self.idle = idle
        }
    }

    /// Numbers about the processes of a server.
    package struct Statistics: Hashable, Sendable {
        /// Processes that run.
        package let running: Int
        /// Processes that were started, again after an exit included.
        package let starts: Int
        /// Processes that were started again after an exit.
        package let restarts: Int
        /// Processes of a caller that were ended to make room for another caller's.
        package let evictions: Int
    }

    package let name: String
    /// The process of all callers; of anonymous ones where others have their own.
    private let shared: StdioServer
    /// Nil: all callers share one process.
    private let processes: StdioProcesses?
    private let counters: Counters
    /// Revision that the program speaks; nil until it has said so.
    private let version = Mutex<MCPVersion?>(nil)

    private final class Counters: Sendable {
        let starts = Atomic<Int>(0)
        let restarts = Atomic<Int>(0)
    }

    /// Creates a server without starting it.
    ///
    /// - Parameters:
    ///   - version: The only revision in which it is spoken to; nil: negotiated.
    ///   - timeout: Longest request.
    ///   - responseLimit: Bytes of a message of the server.
    ///   - perCaller: Bounds of the processes where each caller has one of its own; nil: all share one.
    package init(
        name: String, _ command: Command, clientInfo: Implementation, version: MCPVersion? = nil,
        timeout: Duration = .seconds(300), responseLimit: Int = 16 * 1024 * 1024, perCaller: PerCaller? = nil,
        logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.name = name
        var configuration = StdioMCPClient.Configuration(maximumLineBytes: responseLimit)
        if let version {
            configuration.era = version.era == .modern ? .modern : .legacy
            if version.era == .legacy { configuration.legacyVersion = version }
        }
        let counters = Counters()
        self.counters = counters
        let settings = StdioServer.Settings(
            name: name, command: command, clientInfo: clientInfo, configuration: configuration, timeout: timeout,
            logger: logger, now: now,
            onStart: { isRestart in
                counters.starts.add(1, ordering: .relaxed)
                if isRestart { counters.restarts.add(1, ordering: .relaxed) }
            })
        shared = StdioServer(settings)
        processes = perCaller.map { StdioProcesses(settings, $0) }
    }

    /// Numbers for the metrics.
    package var statistics: Statistics {
        Statistics(
            running: (shared.isRunning ? 1 : 0) + (processes?.running ?? 0),
            starts: counters.starts.load(ordering: .relaxed), restarts: counters.restarts.load(ordering: .relaxed),
            evictions: processes?.evictions ?? 0)
    }

    package func revision(for client: MCPVersion) async -> MCPVersion {
        if let known = knownRevision(for: client) { return known }
        // All processes are of one program, which is spoken to in one revision.
        guard let version = try? await with(.anonymous, { try await $0.describe().version }) else {
            return .latestModern
        }
        self.version.withLock { $0 = version }
        return version
    }

    package func knownRevision(for client: MCPVersion) -> MCPVersion? { version.withLock { $0 } }

    package func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription {
        try await with(caller) { try await $0.describe() }
    }

    package func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        try await with(request.caller) { try await $0.send(request) }
    }

    package func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        // What a caller's own process tells is that caller's alone.
        try await shared.listen(to: filter, onOpen: onOpen, onNotification: onNotification)
    }

    /// Ends all processes: closes their input, waits, then insists.
    package func close() async {
        async let shared: Void = shared.close()
        await processes?.close()
        await shared
    }

    private func with<Value: Sendable>(
        _ caller: EndpointCaller, _ body: (StdioServer) async throws -> Value
    ) async throws -> Value {
        let partition = processes == nil ? .anonymous : caller.credentials(name).partition
        // Starting a process takes a while, for which an event loop must not stand still.
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            guard let processes, partition != .anonymous else { return try await body(shared) }
            return try await processes.with(partition, body)
        }
    }
}
