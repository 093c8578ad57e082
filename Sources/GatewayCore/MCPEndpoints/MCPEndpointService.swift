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
import Synchronization

/// One MCP endpoint of the gateway: the merged server, its sessions, and the task that follows the upstreams' changes.
/// Shared by all workers.
final class MCPEndpointService: Sendable {
    let configuration: MCPEndpointConfiguration
    let router: EndpointRouter
    let streamable: StreamableHTTP
    let dialect: CommandDialect
    let server: MCPServer
    /// Key of the hashes that identify callers; the same for every gateway with the same session key.
    private let callerKey: SymmetricKey
    private let upstreams: [Upstream]
    /// All upstreams of the configuration.
    private let all: [Upstream]
    private let following: Task<Void, Never>
    private let isSurveying = Atomic<Bool>(false)

    init(
        _ configuration: MCPEndpointConfiguration, upstreams: [Upstream], workers: any UpstreamWorkers,
        keys: SessionKeysConfiguration, metrics: EndpointMetrics, logger: Logger
    ) {
        self.configuration = configuration
        self.upstreams = configuration.members.compactMap { member in upstreams.first { $0.name == member.upstream } }
        all = upstreams
        let router = EndpointRouter(
            configuration, upstreams: upstreams, workers: workers, observer: metrics, logger: logger)
        self.router = router
        var serverConfiguration = MCPServerConfiguration()
        var transport = StreamableHTTPConfiguration()
        serverConfiguration.stateKey = keys.stateKey
        transport.identifiers = keys.identifiers()
        callerKey = SymmetricKey(
            data: keys.key.map { Array(SHA256.hash(data: Array("mcp-caller/\($0.value)".utf8))) }
                ?? SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) })
        let server = MCPServer(
            info: Implementation(name: GatewayVersion.name, version: GatewayVersion.number),
            configuration: serverConfiguration, forwarder: router, logger: logger)
        self.server = server
        dialect = CommandDialect(server: server)
        streamable = StreamableHTTP(server: server, configuration: transport)
        following = Task { [weak server] in
            await router.followChanges { [weak server] change in server?.announce(change) }
        }
    }

    /// Returns whether the endpoint was made with these very upstreams, not with equal ones.
    func isServed(by upstreams: [Upstream]) -> Bool {
        all.count == upstreams.count && zip(all, upstreams).allSatisfy { $0 === $1 }
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
        following.cancel()
        streamable.shutdown()
    }

    /// Returns the caller of a request, and the principal to whom its sessions belong. Must be called on the worker's
    /// event loop.
    func caller(of exchange: GatewayExchange) -> (caller: EndpointCaller, principal: Principal?) {
        // Other upstreams may be asked who the caller is.
        var credentials: [String: ForwardedCredentials] = [:]
        for upstream in all where !upstreams.contains(where: { $0 === upstream }) {
            credentials[upstream.name] = exchange.credentials(for: upstream)
        }
        var identity = HMAC<SHA256>(key: callerKey)
        var isAnonymous = true
        for upstream in upstreams {
            let forwarded = exchange.credentials(for: upstream)
            credentials[upstream.name] = forwarded
            // The name and each part's length keep the parts apart.
            for text in [upstream.name] + forwarded.credentials.flatMap({ [$0.name.lowercased(), $0.value] }) {
                withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { identity.update(data: $0) }
                identity.update(data: Array(text.utf8))
            }
            isAnonymous = isAnonymous && forwarded.credentials.isEmpty
        }
        let id = identity.finalize().map { String(format: "%02x", $0) }.joined()
        let principal = isAnonymous ? nil : Principal(id: id, name: id)
        return (EndpointCaller { [credentials] in credentials[$0] ?? .anonymous }, principal)
    }
}

extension EndpointRouter {
    /// Makes the router of an endpoint.
    ///
    /// - Parameters:
    ///   - upstreams: All upstreams of the configuration.
    ///   - patience: Longest wait of a list for a silent upstream; nil: the default.
    ///   - observer: Takes note of the requests to the upstreams.
    convenience init(
        _ configuration: MCPEndpointConfiguration, upstreams: [Upstream], workers: any UpstreamWorkers,
        patience: Duration? = nil, observer: (any EndpointObserver)? = nil, logger: Logger
    ) {
        var limits = EndpointLimits()
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
        stdio ?? BalancedUpstream(self, workers: workers, timeout: timeout)
    }
}
