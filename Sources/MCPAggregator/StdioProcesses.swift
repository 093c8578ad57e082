import MCPClient
import Synchronization

/// The processes of a stdio server of which each caller has one of its own.
///
/// At most `limit` at a time: for one more the idle one that was used longest ago is ended, and with none idle the request
/// is refused. One that was not used for a while is ended as well.
final class StdioProcesses: Sendable {
    private struct Entry {
        let server: StdioServer
        var used: ContinuousClock.Instant
        /// Requests under way.
        var uses = 0
    }

    private struct State {
        var entries: [CredentialPartition: Entry] = [:]
        /// Ends idle processes; runs while there are any.
        var sweeping: Task<Void, Never>?
        var isClosed = false
        var evictions = 0
        /// Processes that have been told to end and have not ended yet.
        var ending = 0
    }

    private let settings: StdioServer.Settings
    private let limit: Int
    private let idle: Duration
    private let state = Mutex(State())

    init(_ settings: StdioServer.Settings, _ limits: StdioUpstream.PerCaller) {
        self.settings = settings
        limit = limits.processes
        idle = limits.idle
    }

    /// Runs something with a caller's process, which is not ended meanwhile.
    ///
    /// - Throws: ``EndpointError`` with the label `overloaded` where all processes are busy; errors of `body`.
    func with<Value: Sendable>(
        _ caller: CredentialPartition, _ body: (StdioServer) async throws -> Value
    ) async throws -> Value {
        let server = try take(caller)
        defer { give(caller) }
        return try await body(server)
    }

    private func take(_ caller: CredentialPartition) throws -> StdioServer {
        let now = settings.now()
        let (server, ended) = try state.withLock { state -> (StdioServer, StdioServer?) in
            guard !state.isClosed else {
                throw EndpointError(
                    label: "upstream_unreachable", executed: "no", detail: "the gateway is stopping")
            }
            if let known = state.entries[caller] {
                state.entries[caller]?.uses += 1
                state.entries[caller]?.used = now
                return (known.server, nil)
            }
            var ended: StdioServer?
            if state.entries.count >= limit {
                let idle = state.entries.filter { $0.value.uses == 0 }
                // As many again may be ending: processes that do not want to end must not become many.
                guard let oldest = idle.min(by: { $0.value.used < $1.value.used }), state.ending < limit else {
                    throw EndpointError(
                        label: "overloaded", executed: "no", detail: "all \(limit) processes are busy")
                }
                ended = oldest.value.server
                state.entries[oldest.key] = nil
                state.evictions += 1
                state.ending += 1
            }
            let server = StdioServer(settings)
            state.entries[caller] = Entry(server: server, used: now, uses: 1)
            if state.sweeping == nil { state.sweeping = sweeper() }
            return (server, ended)
        }
        if let ended {
            Task { [self] in
                await ended.close()
                state.withLock { $0.ending -= 1 }
            }
        }
        return server
    }

    private func give(_ caller: CredentialPartition) {
        let now = settings.now()
        state.withLock { state in
            state.entries[caller]?.uses -= 1
            state.entries[caller]?.used = now
        }
    }

    // MARK: Idle processes

    private func sweeper() -> Task<Void, Never> {
        // Twice as often as needed, so that a process lives for half as long again at most.
        let pause = max(idle / 2, .milliseconds(10))
        return Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: pause)
                guard let self, await self.sweep() else { return }
            }
        }
    }

    /// Ends the processes that have been idle for too long; false when none is left.
    @discardableResult
    func sweep() async -> Bool {
        let now = settings.now()
        let (ended, hasMore) = state.withLock { state -> ([StdioServer], Bool) in
            let old = state.entries.filter { $0.value.uses == 0 && now - $0.value.used >= idle }
            for caller in old.keys { state.entries[caller] = nil }
            let hasMore = !state.entries.isEmpty
            if !hasMore { state.sweeping = nil }
            return (old.values.map(\.server), hasMore)
        }
        await Self.close(ended)
        return hasMore
    }

    /// Ends all processes.
    func close() async {
        let (servers, sweeping) = state.withLock { state in
            state.isClosed = true
            defer { state.entries = [:] }
            return (state.entries.values.map(\.server), state.sweeping.take())
        }
        sweeping?.cancel()
        await Self.close(servers)
    }

    private static func close(_ servers: [StdioServer]) async {
        await withTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { await server.close() } }
        }
    }

    /// Number of processes that run.
    var running: Int { state.withLock { $0.entries.values.map(\.server) }.count(where: \.isRunning) }
    /// Number of processes that were ended for another caller's.
    var evictions: Int { state.withLock { $0.evictions } }
}
