import Crypto
import Foundation
import JSON
import Logging
import MCP
import MCPAggregator
import MCPClient
import MCPServer
import MCPServerHTTP
import NIOCore
import ProcessMemory
import Synchronization

/// One MCP endpoint of the gateway: the merged server, its sessions, and the task that follows the upstreams' changes.
/// Shared by all workers.
final class MCPEndpointService: Sendable {
    let configuration: MCPEndpointConfiguration
    let router: EndpointRouter
    let streamable: StreamableHTTP
    let dialect: CommandDialect
    let server: MCPServer
    private let principals: EndpointPrincipals
    private let upstreams: [Upstream]
    /// All upstreams of the configuration.
    private let all: [Upstream]
    /// True if all upstreams are sent the same credentials, those of the top level.
    private let isUniform: Bool
    private let following = Mutex<Task<Void, Never>?>(nil)
    private let isSurveying = Atomic<Bool>(false)

    init(
        _ configuration: MCPEndpointConfiguration, upstreams: [Upstream], workers: any UpstreamWorkers,
        keys: SessionKeysConfiguration, memory: MemoryBudget = .unlimited, metrics: EndpointMetrics, logger: Logger
    ) {
        self.configuration = configuration
        self.upstreams = configuration.members.compactMap { member in upstreams.first { $0.name == member.upstream } }
        all = upstreams
        isUniform = upstreams.allSatisfy { $0.rules == nil }
        let router = EndpointRouter(
            configuration, upstreams: upstreams, workers: workers, memory: memory, observer: metrics, logger: logger)
        self.router = router
        var serverConfiguration = MCPServerConfiguration()
        var transport = StreamableHTTPConfiguration()
        serverConfiguration.stateKey = keys.stateKey
        serverConfiguration.memory = memory
        transport.identifiers = keys.identifiers()
        // The same for every gateway with the same session key.
        principals = EndpointPrincipals(
            key: SymmetricKey(
                data: keys.key.map { Array(SHA256.hash(data: Array("mcp-caller/\($0.value)".utf8))) }
                    ?? SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }))
        let server = MCPServer(
            info: Implementation(name: GatewayVersion.name, version: GatewayVersion.number),
            configuration: serverConfiguration, forwarder: router, logger: logger)
        self.server = server
        dialect = CommandDialect(server: server)
        streamable = StreamableHTTP(server: server, configuration: transport)
    }

    /// Listens to the upstreams' changes from now on, once the workers have the upstreams. Later calls change nothing.
    func followChanges() {
        following.withLock { task in
            guard task == nil else { return }
            task = Task { [router, weak server] in
                await router.followChanges { [weak server] change in server?.announce(change) }
            }
        }
    }

    /// Returns whether the endpoint was made with these very upstreams, not with equal ones.
    func isServed(by upstreams: [Upstream]) -> Bool {
        all.count == upstreams.count && zip(all, upstreams).allSatisfy { $0 === $1 }
    }

    /// Returns the tools that a call by a name of the endpoint may reach.
    func tools(named name: String) -> [LimitedTools.Tool] {
        router.upstreams(ofTool: name).map { .init(upstream: $0.upstream, name: $0.tool) }
    }

    /// Returns whether an upstream is behind the endpoint.
    func offers(_ upstream: Upstream) -> Bool { upstreams.contains { $0 === upstream } }

    /// Lists tools and prompts in the endpoint's own name, unless that is under way.
    ///
    /// - Returns: False if it was under way.
    func survey() async -> Bool {
        guard !isSurveying.exchange(true, ordering: .acquiring) else { return false }
        await router.survey()
        isSurveying.store(false, ordering: .releasing)
        return true
    }

    /// Lists the tools anew and tells the clients: other ones are pinned.
    func pinned() {
        router.forgetLists()
        server.announce(.tools)
    }

    /// Waits for the requests under way, at most for the limit, and then ends every stream, so that clients which only
    /// listen do not delay the end of the process.
    func drain(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while router.requestsUnderWay > 0, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
        close()
    }

    /// Ends sessions and subscriptions, and stops listening to the upstreams.
    func close() {
        following.withLock { $0?.cancel() }
        streamable.shutdown()
    }

    /// Returns the caller of a request, and the principal to whom its sessions belong. Must be called on the worker's
    /// event loop.
    func caller(of exchange: GatewayRequest) -> (caller: EndpointCaller, principal: Principal?) {
        if isUniform {
            // All upstreams are sent the same.
            let common = exchange.facts.credentials(&exchange.worker.partitions)
            return (
                EndpointCaller { _ in common },
                common.credentials.isEmpty
                    ? nil : principals.principal(of: [common.partition], upstreams.map { ($0.name, common) })
            )
        }
        // Other upstreams than the endpoint's may be asked who the caller is.
        let credentials = all.map { (name: $0.name, forwarded: exchange.credentials(for: $0)) }
        let caller = EndpointCaller { name in credentials.first { $0.name == name }?.forwarded ?? .anonymous }
        let own = upstreams.map { ($0.name, caller.credentials($0.name)) }
        guard own.contains(where: { !$0.1.credentials.isEmpty }) else { return (caller, nil) }
        return (caller, principals.principal(of: own.map(\.1.partition), own))
    }
}

/// Principals of recent callers, since a keyed hash costs more than all other work on their credentials. Bounded.
///
/// Two callers are one principal when the endpoint's upstreams are sent the same credentials.
final class EndpointPrincipals: Sendable {
    private let key: SymmetricKey
    private let known = Mutex<[[CredentialPartition]: Principal]>([:])
    /// Largest number of callers that are kept.
    private static let capacity = 4096

    /// - Parameter key: Key of the hashes that identify callers.
    init(key: SymmetricKey) {
        self.key = key
    }

    /// Returns the principal of a caller.
    ///
    /// - Parameters:
    ///   - partitions: Partitions of the credentials, which tell them apart.
    ///   - credentials: Names of the upstreams and the credentials that they are sent.
    func principal(
        of partitions: [CredentialPartition], _ credentials: [(upstream: String, forwarded: ForwardedCredentials)]
    ) -> Principal {
        if let principal = known.withLock({ $0[partitions] }) { return principal }
        var identity = HMAC<SHA256>(key: key)
        for (upstream, forwarded) in credentials {
            let texts = [upstream] + forwarded.credentials.flatMap { [$0.name.lowercased(), $0.value] }
            HashedTexts.feed(texts) { identity.update(data: $0) }
        }
        let id = identity.finalize().map { String(format: "%02x", $0) }.joined()
        let principal = Principal(id: id, name: id)
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll(keepingCapacity: true) }
            known[partitions] = principal
        }
        return principal
    }
}

extension EndpointRouter {
    /// Makes the router of an endpoint.
    ///
    /// - Parameters:
    ///   - upstreams: All upstreams of the configuration.
    ///   - patience: Longest wait of a list for a silent upstream; nil: the default.
    ///   - memory: Budget of the process, from which lists draw.
    ///   - observer: Takes note of the requests to the upstreams.
    convenience init(
        _ configuration: MCPEndpointConfiguration, upstreams: [Upstream], workers: any UpstreamWorkers,
        patience: Duration? = nil, memory: MemoryBudget = .unlimited, observer: (any EndpointObserver)? = nil,
        logger: Logger
    ) {
        var limits = EndpointLimits()
        limits.memory = memory
        limits.stale = configuration.stale
        limits.questionTimeout = configuration.questionTimeout
        if let patience { limits.patience = patience }
        let members = configuration.members.compactMap { member in
            upstreams.first { $0.name == member.upstream }.map { upstream in
                let plain = upstream.member(for: workers, timeout: configuration.timeout)
                return EndpointMember(
                    observer.map { ObservedUpstream(plain, observer: $0) } ?? plain, prefix: member.prefix,
                    allow: member.allow, deny: member.deny,
                    review: upstream.configuration.isPinnable ? upstream.pinning : nil)
            }
        }
        self.init(members, limits: limits, logger: logger)
    }
}

extension Upstream {
    /// Returns the upstream as endpoints use it.
    ///
    /// - Parameter timeout: Longest silence of the upstream during a request.
    func member(for workers: any UpstreamWorkers, timeout: Duration) -> any EndpointUpstream {
        BalancedUpstream(self, workers: workers, timeout: timeout)
    }
}
