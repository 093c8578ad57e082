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

/// One MCP endpoint of the gateway: the merged server, its sessions, and the task that follows the upstreams' changes.
/// Shared by all workers.
final class MCPEndpointService: Sendable {
    let configuration: MCPEndpointConfiguration
    let router: EndpointRouter
    let streamable: StreamableHTTP
    let server: MCPServer
    /// Key of the hashes that identify callers; the same for every gateway with the same session key.
    private let callerKey: SymmetricKey
    private let upstreams: [Upstream]
    /// All upstreams of the configuration.
    private let all: [Upstream]
    private let following: Task<Void, Never>

    init(
        _ configuration: MCPEndpointConfiguration, upstreams: [Upstream], workers: any UpstreamWorkers,
        keys: SessionKeysConfiguration, logger: Logger
    ) {
        self.configuration = configuration
        let named = configuration.members.compactMap { member in
            upstreams.first { $0.name == member.upstream }.map { (member: member, upstream: $0) }
        }
        self.upstreams = named.map(\.upstream)
        all = upstreams
        var limits = EndpointLimits()
        limits.stale = configuration.stale
        limits.questionTimeout = configuration.questionTimeout
        let router = EndpointRouter(
            named.map { member, upstream in
                EndpointMember(
                    upstream.stdio ?? BalancedUpstream(upstream, workers: workers, timeout: configuration.timeout),
                    prefix: member.prefix, allow: member.allow, deny: member.deny)
            }, limits: limits, logger: logger)
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
        streamable = StreamableHTTP(server: server, configuration: transport)
        following = Task { [weak server] in
            await router.followChanges { [weak server] change in server?.announce(change) }
        }
    }

    /// Returns whether the endpoint was made with these very upstreams, not with equal ones.
    func isServed(by upstreams: [Upstream]) -> Bool {
        all.count == upstreams.count && zip(all, upstreams).allSatisfy { $0 === $1 }
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
