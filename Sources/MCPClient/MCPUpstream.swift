package import CurlTransport
import JSON
package import Logging
package import MCP
import NIOCore
import Synchronization

/// A call in the queue of a pool; woken on its own event loop.
struct PoolWaiter: Sendable {
    let eventLoop: any EventLoop
    let wake: @Sendable (PoolWake) -> Void
}

/// One upstream MCP server, shared by all workers: its era, sessions, tool catalog, statistics.
///
/// It outlives a reload of the configuration, and so do its sessions.
package final class MCPUpstream: Sendable {
    /// Configuration of the upstream.
    package let configuration: MCPUpstreamConfiguration
    /// Name and version of the client.
    package let clientInfo: Implementation
    /// Capabilities of this client, declared in every handshake.
    package let capabilities: ClientCapabilities
    let logger: Logger
    /// `MCPUpstreamConfiguration.retryWindow` and `retryPause`, in the form that calls need.
    let retryWindow: TimeAmount
    let retryPause: TimeAmount
    let envelope: RequestEnvelope
    /// Number of unanswered questions of the server, on all streams.
    let openQuestions = Atomic<Int>(0)

    /// Warnings about this upstream.
    let notices: UpstreamNotices
    /// Outcomes of its latest tool calls.
    package let health = CallHealth()

    private let pool: Mutex<SessionPoolState<PoolWaiter>>
    private let catalogState = Mutex(CatalogState())
    /// Description that the server gave last.
    private let lastDescription = Mutex<[UInt8]>([])
    /// The same server for other clients, each with sessions of its own.
    private let variants = Mutex<[Variant: MCPUpstream]>([:])

    /// Returns a server's description, in the memory of an equal one: each set of credentials has a connection, and
    /// nearly all of them get the same.
    func shared(_ description: [UInt8]) -> [UInt8] {
        lastDescription.withLock { last in
            if last != description { last = description }
            return last
        }
    }

    /// Creates an upstream; connections are opened by calls.
    package init(
        configuration: MCPUpstreamConfiguration, clientInfo: Implementation,
        capabilities: ClientCapabilities = ClientCapabilities(), logger: Logger
    ) {
        self.configuration = configuration
        self.clientInfo = clientInfo
        self.capabilities = capabilities
        self.logger = logger
        notices = UpstreamNotices(upstream: configuration.name, logger: logger)
        retryWindow = TimeAmount(configuration.retryWindow)
        retryPause = TimeAmount(configuration.retryPause)
        envelope = RequestEnvelope(
            fragments: EnvelopeFragments(
                clientInfo: clientInfo, capabilities: capabilities, legacyVersion: configuration.legacyVersion))
        pool = Mutex(
            SessionPoolState(
                url: configuration.url, era: configuration.era, legacyVersion: configuration.legacyVersion,
                limit: configuration.sessionLimit, idle: TimeAmount(configuration.sessionIdle)))
    }

    /// Records how a request has ended.
    func note(_ outcome: MCPCallOutcome, of method: String) {
        if method == MCPMethod.toolsCall { health.note(outcome) }
        guard case .failure(let failure) = outcome, failure.isTheUpstreams else { return }
        notices.warn(
            .call(failure.kind), "upstream request failed",
            [
                "method": "\(method)", "kind": "\(failure.kind)", "answer": "\(failure.detail)",
                "key": "\(failure.helpfulKey(for: configuration.name))",
            ])
    }

    /// Endpoint as it was last reached: the configured one, or the target of its redirect.
    package var endpoint: String { pool.withLock { $0.era.url } }

    /// Statistics for metrics.
    package var statistics: MCPUpstreamStatistics { pool.withLock { $0.statistics } }

    /// Era of the server; nil until it is known.
    package var era: MCPEra? {
        pool.withLock { state in
            switch state.era.knowledge {
            case .modern: .modern
            case .legacy: .legacy
            case .unknown, .probing: nil
            }
        }
    }

    /// A kind of client for which the server has separate sessions.
    struct Variant: Hashable {
        /// Revision to use; nil: the configured one.
        let version: MCPVersion?
        let capabilities: ClientCapabilities
    }

    /// Returns the same server for other clients. Legacy servers get revision and capabilities once for a session, so
    /// that sessions are not shared between clients with different ones.
    func variant(_ variant: Variant) -> MCPUpstream {
        variants.withLock { variants in
            if let known = variants[variant] { return known }
            var configuration = configuration
            if let version = variant.version {
                configuration.era = version.era == .modern ? .modern : .legacy
                if version.era == .legacy { configuration.legacyVersion = version }
            }
            let made = MCPUpstream(
                configuration: configuration, clientInfo: clientInfo, capabilities: variant.capabilities, logger: logger
            )
            variants[variant] = made
            return made
        }
    }

    // MARK: Sessions

    func acquire(
        _ credentials: ForwardedCredentials, waiter: () -> PoolWaiter, now: NIODeadline
    ) -> (acquisition: PoolAcquisition, evicted: [EvictedSession]) {
        let partition = credentials.partition
        // A few at a time: one call must not pay for ending all of them.
        let (ready, evicted) = pool.withLock { ($0.ready(partition, now: now), $0.evict(now: now, atMost: 4)) }
        if let ready { return (.ready(ready), evicted) }
        // A waiter costs allocations, so it is created only when it is needed. The connection may have come meanwhile;
        // `acquire` checks again.
        let made = waiter()
        let headers = credentials.credentials
        let acquisition = pool.withLock { $0.acquire(partition, credentials: headers, waiter: made, now: now) }
        return (acquisition, evicted)
    }

    func release(_ partition: CredentialPartition, _ connection: UpstreamConnection, now: NIODeadline) {
        if connection.era == .modern { return }
        pool.withLock { $0.release(partition, connection, now: now) }
    }

    func discard(_ partition: CredentialPartition, _ connection: UpstreamConnection) {
        pool.withLock { $0.discard(partition, connection) }
    }

    func moved(_ partition: CredentialPartition, _ connection: UpstreamConnection) {
        pool.withLock { $0.moved(partition, connection, to: connection.url) }
    }

    func nextGeneration() -> UInt64 { pool.withLock { $0.nextGeneration() } }

    /// Ends a handshake and wakes all waiting calls, each on its own event loop.
    func finish(_ order: HandshakeOrder, _ outcome: HandshakeOutcome) -> [EvictedSession] {
        let (wakes, evicted) = pool.withLock { $0.finish(order, outcome, now: .now()) }
        for (waiter, wake) in wakes {
            waiter.eventLoop.execute { waiter.wake(wake) }
        }
        return evicted
    }

    func evict(now: NIODeadline) -> [EvictedSession] {
        pool.withLock { $0.evict(now: now, atMost: 256) }
    }

    /// Ends all sessions with `DELETE`, within the limit. Calls that begin later open new ones.
    package func close(_ engine: CurlEngine, within limit: Duration = .seconds(2)) async {
        for variant in variants.withLock({ Array($0.values) }) { await variant.close(engine, within: limit) }
        let sessions = pool.withLock { $0.drain() }
        await withTaskGroup(of: Void.self) { group in
            // Limited, so that thousands of sessions do not open thousands of connections.
            var waiting = sessions[...]
            let end = ContinuousClock.now + limit
            for _ in 0..<min(32, sessions.count) {
                guard let session = waiting.popFirst() else { break }
                group.addTask { await self.end(session, engine) }
            }
            while await group.next() != nil {
                guard ContinuousClock.now < end, let session = waiting.popFirst() else { continue }
                group.addTask { await self.end(session, engine) }
            }
        }
    }

    private func end(_ session: EvictedSession, _ engine: CurlEngine) async {
        var request = deletion(of: session)
        request.timeout = .seconds(1)
        // A courtesy: a failure is ignored, since a server that is gone has no session either.
        _ = try? await engine.execute(request)
    }

    // MARK: Catalog

    private struct CatalogState {
        var listed: CatalogReading.Whole?
        var catalog: ToolCatalog? { listed?.catalog }
        var credentials = ForwardedCredentials.anonymous
        var staleAt = NIODeadline.distantFuture
        var loading = false
    }

    /// The tools as last listed; nil before the first `MCPCaller.refreshCatalog`. Renewed in the background by calls
    /// when it has expired.
    package var catalog: ToolCatalog? { catalogState.withLock { $0.catalog } }

    /// The list that the catalog was made of.
    var listed: CatalogReading.Whole? { catalogState.withLock { $0.listed } }

    /// Lets the next call renew the catalog (`notifications/tools/list_changed`, a header mismatch).
    package func expireCatalog() {
        catalogState.withLock { state in
            if state.catalog != nil { state.staleAt = .uptimeNanoseconds(0) }
        }
    }

    /// Credentials with which the catalog was listed; nil before that.
    var catalogCredentials: ForwardedCredentials? {
        catalogState.withLock { $0.catalog == nil ? nil : $0.credentials }
    }

    func entry(for tool: String, now: NIODeadline) -> (entry: ToolCatalog.Entry?, renewal: ForwardedCredentials?) {
        catalogState.withLock { state in
            guard now >= state.staleAt, !state.loading else { return (state.catalog?[tool], nil) }
            state.loading = true
            return (state.catalog?[tool], state.credentials)
        }
    }

    func catalogLoaded(_ listed: CatalogReading.Whole, credentials: ForwardedCredentials, now: NIODeadline) {
        let catalog = listed.catalog
        // A server's lifetime of zero would list the tools with every call.
        let lifetime = max(catalog.lifetime ?? configuration.catalogLifetime, .seconds(5))
        catalogState.withLock { state in
            state = CatalogState(listed: listed, credentials: credentials, staleAt: now + TimeAmount(lifetime))
        }
        for kind in ToolCatalog.Warning.Kind.allCases {
            let warnings = catalog.warnings.filter { $0.kind == kind }
            guard !warnings.isEmpty else { continue }
            let tools = warnings.prefix(10).map { $0.tool.isEmpty ? $0.reason : "\($0.tool): \($0.reason)" }
            notices.warn(.catalog(kind), "\(kind.rawValue)", ["reason": "\(tools.joined(separator: "; "))"])
        }
    }

    func catalogFailed(now: NIODeadline) {
        catalogState.withLock { state in
            state.loading = false
            if state.catalog != nil { state.staleAt = now + .seconds(5) }
        }
    }
}
