package import CurlTransport
package import Logging
import MCP
package import MCPClient
import NIOCore
import Synchronization

/// A set of tools that somewhere else runs: an MCP server, the old chat backend. Shared by all workers; each of them
/// calls it through a ``LoadBalancer``.
package final class Upstream: Sendable {
    /// Configuration of the upstream.
    package let configuration: UpstreamConfiguration
    /// Bytes that a response may have.
    let responseLimit: Int
    let tls: CurlTLS?
    /// In the order of the configuration's addresses, at least one.
    let servers: [UpstreamServer]
    /// The calls of all workers, for metrics.
    let load = UpstreamLoad()
    private let tools = Mutex<ToolCatalog?>(nil)

    /// Name in the configuration.
    package var name: String { configuration.name }
    /// Protocol that the upstream speaks.
    package var kind: UpstreamConfiguration.Kind { configuration.kind }

    /// - Parameter logger: The MCP client's.
    package init(_ configuration: UpstreamConfiguration, responseLimit: Int, logger: Logger) {
        self.configuration = configuration
        self.responseLimit = responseLimit
        let tls = configuration.tls.map(CurlTLS.init)
        self.tls = tls
        servers = configuration.addresses.map { address in
            guard configuration.kind == .mcp else { return UpstreamServer(address, client: nil) }
            return UpstreamServer(
                address,
                client: MCPUpstream(
                    configuration: Self.client(configuration, address, responseLimit: responseLimit, tls: tls),
                    clientInfo: Implementation(name: GatewayVersion.name, version: GatewayVersion.number),
                    logger: logger))
        }
    }

    private static func client(
        _ configuration: UpstreamConfiguration, _ address: UpstreamAddress, responseLimit: Int, tls: CurlTLS?
    ) -> MCPUpstreamConfiguration {
        let version = configuration.protocolVersion
        let era: MCPUpstreamConfiguration.Era =
            switch (version?.era, configuration.era) {
            case (.legacy, _), (nil, .legacy): .legacy
            case (.modern, _), (nil, .modern): .modern
            case (nil, .auto): .auto
            }
        // With several servers a refused call goes to the next one instead of waiting for its own.
        let hasAlternatives = configuration.addresses.count > 1
        let retryWindow = hasAlternatives ? .zero : configuration.retryWindow
        var client = MCPUpstreamConfiguration(
            name: configuration.name, url: address.url, unixSocketPath: address.socketPath,
            connectTimeout: configuration.connectTimeout, trusted: configuration.isTrusted, era: era,
            maximumResponseBytes: responseLimit, sessionLimit: configuration.sessionLimit,
            sessionIdle: configuration.sessionIdle, retryWindow: retryWindow, tls: tls)
        client.replays = configuration.replays
        client.hasAlternatives = hasAlternatives
        if let version, version.era == .legacy {
            client.legacyVersion = version
            client.isVersionFixed = true
        }
        return client
    }

    /// The tools as last listed; nil before the first list.
    package var catalog: ToolCatalog? { tools.withLock { $0 } }

    /// Takes over the tools that a check has listed.
    func note(_ catalog: ToolCatalog) { tools.withLock { $0 = catalog } }

    /// The place of the first server that the checks do not find down; where sessions live that the gateway does not
    /// hold itself.
    var firstReachable: Int { servers.firstIndex { !$0.health.isDown } ?? 0 }

    /// The era that the first server speaks, as far as it is known.
    var era: MCPEra? { servers[0].client?.era }

    /// Makes a worker's way to one of the servers.
    func makeEndpoint(server: Int, engine: CurlEngine, eventLoop: any EventLoop) -> any Endpoint {
        let server = servers[server]
        guard let client = server.client else {
            return ChatEndpoint(self, server.address, engine: engine, eventLoop: eventLoop)
        }
        return MCPEndpoint(MCPCaller(upstream: client, engine: engine, eventLoop: eventLoop))
    }

    /// Ends all sessions.
    package func close(_ engine: CurlEngine, within limit: Duration = .seconds(2)) async {
        await withTaskGroup(of: Void.self) { group in
            for client in servers.compactMap(\.client) {
                group.addTask { await client.close(engine, within: limit) }
            }
        }
    }
}
