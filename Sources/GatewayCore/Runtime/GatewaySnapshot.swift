import CurlTransport
import Logging
import MCP
package import MCPClient
import NIOCore
import ServiceRuntime

/// Everything that follows from one reading of the configuration: immutable, shared by all shards. A request keeps the
/// snapshot that it began with.
package final class GatewaySnapshot: Sendable {
    /// Counts the configurations of this process, from 1.
    package let version: Int
    package let configuration: GatewayConfiguration
    /// The configured types.
    package let types: TypeMap
    /// The MCP servers.
    package let upstreams: [GatewayUpstream]
    /// The upstreams of kind `chat`.
    package let backends: [ChatBackend]
    /// Where payloads of other types go.
    let unknownTypes: (backend: Int, timeout: TimeAmount)?
    /// Whether some request may have another way than to a tool.
    let isRouted: Bool
    let rules: ForwardRules
    /// Nil: nothing is limited.
    let limiter: RateLimiter?
    let crossOrigin: CrossOriginPolicy
    /// Where `/mcp` and `/auth` go; nil when they are not passed through.
    let passThrough: GatewayUpstream?
    /// What `/` answers, with the configuration's texts.
    let pageDocument: PageFile?

    /// - Parameter previous: Upstreams whose settings are the same keep their sessions.
    init(
        _ configuration: GatewayConfiguration, version: Int, previous: GatewaySnapshot?, metrics: GatewayMetrics,
        logger: Logger
    ) {
        self.version = version
        self.configuration = configuration
        let limit = configuration.limits.upstreamResponse
        upstreams = configuration.upstreams.filter { $0.kind == .mcp }.map { upstream in
            let known = previous?.upstreams.first { $0.configuration == upstream && $0.responseLimit == limit }
            return known ?? GatewayUpstream(upstream, responseLimit: limit, logger: logger)
        }
        backends = configuration.upstreams.filter { $0.kind == .chat }.map { backend in
            let known = previous?.backends.first { $0.configuration == backend && $0.responseLimit == limit }
            return known ?? ChatBackend(backend, responseLimit: limit)
        }
        let names = backends.map(\.name)
        types = TypeMap(configuration.chat, upstreams: upstreams.map(\.name), backends: names, metrics: metrics)
        unknownTypes = configuration.chat.unknownTypes.flatMap { unknown in
            names.firstIndex(of: unknown.upstream).map { ($0, TimeAmount(unknown.timeout)) }
        }
        isRouted = unknownTypes != nil || types.types.contains { !$0.route.isPlain }
        rules = ForwardRules(configuration.forward)
        // There from the start: Prometheus cannot tell a rise from nothing.
        for upstream in upstreams { metrics.replays.with(upstream.name).increment(by: 0) }
        let known = previous?.limiter.flatMap { $0.configuration == configuration.rateLimits ? $0 : nil }
        limiter = known ?? configuration.rateLimits.map { RateLimiter($0) }
        crossOrigin = CrossOriginPolicy(configuration)
        let passthrough = configuration.passthrough
        passThrough = passthrough.isEnabled ? upstreams.first { $0.name == passthrough.upstream } : nil
        pageDocument = configuration.page ? PageFiles.embedded.document(with: configuration.pageTexts) : nil
    }

    /// What the gates of each upstream are doing, of both kinds.
    var loads: [(name: String, load: UpstreamLoad)] {
        upstreams.map { (name: $0.name, load: $0.load) } + backends.map { (name: $0.name, load: $0.load) }
    }

    /// The configured types, and those that the tools give.
    func types(with catalogs: [String: ToolCatalog], _ metrics: GatewayMetrics) -> TypeMap {
        TypeMap(
            configuration.chat, upstreams: upstreams.map(\.name), backends: backends.map(\.name),
            toolTypes: ToolTypes.make(configuration.chat, catalogs), metrics: metrics)
    }
}

/// An upstream with what it takes to reach it.
package struct GatewayUpstream: Sendable {
    package let configuration: UpstreamConfiguration
    let responseLimit: Int
    let tls: CurlTLS?
    /// In the order of the configuration's addresses, at least one.
    let servers: [UpstreamServer]
    /// What its gates are doing.
    let load = UpstreamLoad()

    package var name: String { configuration.name }
    /// The first server that the checks do not find down; where sessions live that the gateway does not hold itself.
    var firstReachable: Int { servers.firstIndex { !$0.health.isDown } ?? 0 }
    var address: UpstreamAddress { configuration.address }
    /// Of the first server.
    package var client: MCPUpstream { servers[0].client }

    init(_ configuration: UpstreamConfiguration, responseLimit: Int, logger: Logger) {
        self.configuration = configuration
        self.responseLimit = responseLimit
        let tls = configuration.tls.map(CurlTLS.init)
        self.tls = tls
        let era: MCPUpstreamConfiguration.Era =
            switch configuration.era {
            case .auto: .auto
            case .legacy: .legacy
            case .modern: .modern
            }
        // With several servers a refused call goes to the next one instead of waiting for its own.
        let retryWindow = configuration.addresses.count > 1 ? .zero : configuration.retryWindow
        servers = configuration.addresses.map { address in
            let client = MCPUpstream(
                configuration: MCPUpstreamConfiguration(
                    name: configuration.name, url: address.url, unixSocketPath: address.socketPath,
                    connectTimeout: configuration.connectTimeout, trusted: configuration.isTrusted, era: era,
                    maximumResponseBytes: responseLimit, sessionLimit: configuration.sessionLimit,
                    sessionIdle: configuration.sessionIdle, retryWindow: retryWindow, tls: tls),
                clientInfo: Implementation(name: GatewayVersion.name, version: GatewayVersion.number), logger: logger)
            return UpstreamServer(address, client: client)
        }
    }

    /// Whether both are the same one, not only alike: a reload keeps what has not changed.
    func isSame(as other: GatewayUpstream) -> Bool { client === other.client }

    /// Ends all sessions.
    func close(_ engine: CurlEngine, within limit: Duration = .seconds(2)) async {
        await withTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { await server.client.close(engine, within: limit) } }
        }
    }
}

/// What the gateway says it is.
package enum GatewayVersion {
    package static let name = "chat-gateway"
    package static let number = BuildVersion.number
}
