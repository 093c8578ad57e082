package import CurlTransport
import JSON
package import Logging
import MCP
import MCPAggregator
package import MCPClient
import NIOCore
package import ProcessMemory
import Synchronization

/// A set of tools that run elsewhere: an MCP server, the old chat backend, an HTTP API. Shared by all workers; each of
/// them calls it through a ``LoadBalancer``.
package final class Upstream: Sendable {
    /// Configuration of the upstream.
    package let configuration: UpstreamConfiguration
    /// Largest response, in bytes.
    let responseLimit: Int
    /// Budget of the process.
    let memory: MemoryBudget
    let tls: CurlTLS?
    /// Servers in the order of the configuration's addresses, at least one.
    let servers: [UpstreamServer]
    /// Server that the gateway starts itself; nil for one that is reached by its address.
    let stdio: StdioUpstream?
    /// Load of all workers, for metrics.
    let load = UpstreamLoad()
    /// Rules for the parts of a request that are forwarded here; nil: the top-level ones.
    let forward: ForwardConfiguration?
    let rules: ForwardRules?
    /// The gateway's own credentials; nil where it has none.
    let credentials: UpstreamCredentials?
    /// Configured tools of an upstream that does not speak MCP.
    let tools: [String: ToolConfiguration]
    /// True if a tool may ask the user of a chat.
    let asksUsers: Bool
    /// The tools that are hidden until they are pinned.
    package let pinning: ToolPinning
    private let listed: Mutex<ToolCatalog?>

    /// Name in the configuration.
    package var name: String { configuration.name }
    /// Protocol that the upstream speaks.
    package var kind: UpstreamConfiguration.Kind { configuration.kind }

    /// - Parameters:
    ///   - forward: The top-level rules for the parts of a request that are forwarded.
    ///   - asksUsers: True if a tool may ask the user of a chat: declared to MCP servers.
    ///   - memory: Budget of the process, from which answers and lists of tools draw.
    ///   - logger: Logger of the MCP client.
    ///   - redact: Called with every secret that is fetched or read again, so that it does not appear in logs.
    package init(
        _ configuration: UpstreamConfiguration, responseLimit: Int, forward: ForwardConfiguration,
        asksUsers: Bool = false, memory: MemoryBudget = .unlimited, logger: Logger,
        redact: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.memory = memory
        self.asksUsers = asksUsers
        pinning = ToolPinning(upstream: configuration.name, logger: logger)
        self.forward = configuration.forward(from: forward)
        tools = Dictionary(configuration.tools.map { ($0.name, $0) }) { first, _ in first }
        listed = Mutex(
            configuration.kind == .mcp
                ? nil : ToolCatalog(tools: configuration.tools.map(\.definition), era: .legacy, assertsDates: true))
        rules = self.forward.map { ForwardRules($0) }
        credentials = UpstreamCredentials(configuration, redact: redact)
        self.responseLimit = responseLimit
        let tls = configuration.tls.map(CurlTLS.init)
        self.tls = tls
        stdio = configuration.command.map { command in
            StdioUpstream(
                name: configuration.name, command,
                clientInfo: Implementation(name: GatewayVersion.name, version: GatewayVersion.number),
                version: configuration.protocolVersion, responseLimit: responseLimit,
                perCaller: configuration.perCaller, logger: logger)
        }
        servers = configuration.addresses.map { address in
            guard configuration.kind == .mcp, configuration.command == nil else {
                return UpstreamServer(address, client: nil)
            }
            return UpstreamServer(
                address,
                client: MCPUpstream(
                    configuration: Self.client(
                        configuration, address, responseLimit: responseLimit, memory: memory, tls: tls),
                    clientInfo: Implementation(name: GatewayVersion.name, version: GatewayVersion.number),
                    capabilities: ClientCapabilities(
                        sampling: false, elicitation: asksUsers, elicitationURL: asksUsers),
                    logger: logger))
        }
    }

    private static func client(
        _ configuration: UpstreamConfiguration, _ address: UpstreamAddress, responseLimit: Int, memory: MemoryBudget,
        tls: CurlTLS?
    ) -> MCPUpstreamConfiguration {
        let version = configuration.protocolVersion
        let era: MCPUpstreamConfiguration.Era =
            switch (version?.era, configuration.era) {
            case (.legacy, _), (nil, .legacy): .legacy
            case (.modern, _), (nil, .modern): .modern
            case (nil, .auto): .auto
            }
        // With several servers a refused call is sent to the next one instead of waiting for its own.
        let hasAlternatives = configuration.addresses.count > 1
        let retryWindow = hasAlternatives ? .zero : configuration.retryWindow
        var client = MCPUpstreamConfiguration(
            name: configuration.name, url: address.url, unixSocketPath: address.socketPath,
            connectTimeout: configuration.connectTimeout, trusted: configuration.isTrusted, era: era,
            maximumResponseBytes: responseLimit, sessionLimit: configuration.sessionLimit,
            sessionIdle: configuration.sessionIdle, retryWindow: retryWindow, tls: tls)
        client.replays = configuration.replays
        client.memory = memory
        client.hasAlternatives = hasAlternatives
        if let version, version.era == .legacy {
            client.legacyVersion = version
            client.isVersionFixed = true
        }
        return client
    }

    /// The tools as last listed; nil before the first list.
    package var catalog: ToolCatalog? { listed.withLock { $0 } }

    /// Takes over the tools that a check has listed, as far as they are not hidden.
    func note(_ catalog: ToolCatalog) {
        let admitted = pinning.admitted(catalog)
        listed.withLock { $0 = admitted }
    }

    /// Takes over what a lock file says of the upstream's tools.
    ///
    /// - Parameter lock: nil: none of its tools is hidden.
    /// - Returns: False if that is what was in force before.
    func pin(_ lock: ToolLock?) -> Bool {
        guard configuration.isPinnable else { return false }
        return pinning.replace(with: lock.map { $0.upstreams[ExactString(name)] ?? [:] })
    }

    /// Index of the first server that the checks do not consider down; it holds the sessions that the gateway only
    /// passes through.
    var firstReachable: Int { servers.firstIndex { !$0.health.isDown } ?? 0 }

    /// Era of the first server; nil until it is known.
    var era: MCPEra? { servers[0].client?.era }

    /// Creates a worker's endpoint of one of the servers.
    func makeEndpoint(server: Int, engine: CurlEngine, eventLoop: any EventLoop) -> any Endpoint {
        if let stdio { return StdioEndpoint(stdio, eventLoop: eventLoop, memory: memory) }
        let server = servers[server]
        guard let client = server.client else {
            return HTTPEndpoint(self, server.address, engine: engine, eventLoop: eventLoop)
        }
        return MCPEndpoint(MCPCaller(upstream: client, engine: engine, eventLoop: eventLoop))
    }

    /// True if the caller's token is exchanged for one of the upstream.
    var exchangesTokens: Bool { configuration.token?.grant == .exchange }

    /// Checks one server with the gateway's own credentials: whether it answers, and which tools it has.
    func check(
        _ endpoint: any Endpoint, engine: CurlEngine, eventLoop: any EventLoop, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void
    ) {
        guard let credentials else { return endpoint.check(.anonymous, deadline: deadline, completion: completion) }
        // A check has no caller whose token could be exchanged.
        guard !exchangesTokens else {
            return endpoint.check(.anonymous.with(credentials.fixed), deadline: deadline, completion: completion)
        }
        credentials.obtain(bearer: nil, engine: engine, on: eventLoop) { result in
            switch result {
            case .failure(let error): completion(.failure(UpstreamError(refusal: error)))
            case .success(let own):
                endpoint.check(.anonymous.with(own), deadline: deadline) { result in
                    // The next check uses the new credentials.
                    if case .failure(let failure) = result { credentials.note(failure.error, of: own) }
                    completion(result)
                }
            }
        }
    }

    /// Ends all sessions.
    package func close(_ engine: CurlEngine, within limit: Duration = .seconds(2)) async {
        await stdio?.close()
        await withTaskGroup(of: Void.self) { group in
            for client in servers.compactMap(\.client) {
                group.addTask { await client.close(engine, within: limit) }
            }
        }
    }
}
