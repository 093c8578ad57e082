import CurlTransport
import JSON
import Logging
import MCP
import MCPClient
import MCPServer
import NIOCore
import Synchronization

@testable import MCPAggregator

/// An MCP server over Streamable HTTP as a member of an endpoint.
///
/// Servers are told what the client of a request can do. Sessions of the legacy revisions are told so once, when they
/// begin, so that there is a pool of sessions for each set of capabilities that clients have.
final class HTTPUpstream: EndpointUpstream {
    /// Times of the requests to the server.
    struct Timeouts: Sendable {
        /// Longest silence of the server during a request.
        var idle: Duration
        /// Longest request.
        var total: Duration
        /// Longest handshake.
        var connect: Duration

        /// Sets times.
        init(idle: Duration = .seconds(300), total: Duration = .seconds(3600), connect: Duration = .seconds(10)) {
            self.idle = idle
            self.total = total
            self.connect = connect
        }
    }

    let name: String
    private let configuration: MCPUpstreamConfiguration
    private let clientInfo: Implementation
    private let timeouts: Timeouts
    private let loops: [(engine: CurlEngine, eventLoop: any EventLoop)]
    private let logger: Logger
    private let links = Mutex<[ClientFeatures: [MCPLink]]>([:])
    private let turn = Atomic<Int>(0)

    /// Describes a server.
    ///
    /// - Parameter loops: The event loops that transfers are divided among, each with its engine; at least one.
    init(
        _ configuration: MCPUpstreamConfiguration, clientInfo: Implementation, timeouts: Timeouts = Timeouts(),
        loops: [(engine: CurlEngine, eventLoop: any EventLoop)], logger: Logger
    ) {
        name = configuration.name
        self.configuration = configuration
        self.clientInfo = clientInfo
        self.timeouts = timeouts
        self.loops = loops
        self.logger = logger
    }

    func revision(for client: MCPVersion) async -> MCPVersion {
        configuration.era == .modern ? .latestModern : configuration.legacyVersion
    }

    func describe(_ caller: EndpointCaller) async throws -> UpstreamDescription {
        try await withEndpointErrors {
            let description = try await link([]).connect(caller.credentials(name), timeout: timeouts.connect)
            return UpstreamDescription(
                version: description.version, capabilities: description.capabilities,
                instructions: description.instructions)
        }
    }

    func send(_ request: UpstreamRequest) async throws -> UpstreamResult {
        let link = link(request.features)
        let isTool = request.method == MCPMethod.toolsCall
        return try await withEndpointErrors {
            let answer = try await link.send(
                MCPLink.Request(
                    method: request.method, params: request.params.isEmpty ? nil : request.params,
                    arguments: request.arguments,
                    credentials: request.caller.credentials(name), timeout: timeouts.total,
                    idleTimeout: timeouts.idle, traceparent: request.traceparent,
                    inputSchema: request.inputSchema,
                    // Everything but a call only reads.
                    isIdempotent: !isTool || configuration.trusted && request.isIdempotent,
                    onProgress: request.onProgress, onNotification: request.onNotification,
                    onQuestion: request.onQuestion))
            let result = answer.message.withUnsafeReadableBytes { JSONObjectText(answer.result, in: $0) }
            return UpstreamResult(result, era: answer.era)
        }
    }

    func listen(
        to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (JSONRPCNotification) -> Void
    ) async throws {
        try await withEndpointErrors {
            try await link([]).listen(
                to: filter, credentials: .anonymous, timeout: timeouts.connect, onOpen: onOpen,
                onNotification: onNotification)
        }
    }

    /// Ends all sessions.
    func close() async {
        for links in links.withLock({ Array($0.values) }) {
            guard let link = links.first, let loop = loops.first else { continue }
            await link.upstream.close(loop.engine)
        }
    }

    private func link(_ features: ClientFeatures) -> MCPLink {
        let next = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return links.withLock { links in
            let made = links[features] ?? makeLinks(features)
            links[features] = made
            return made[Int(UInt(bitPattern: next) % UInt(made.count))]
        }
    }

    private func makeLinks(_ features: ClientFeatures) -> [MCPLink] {
        let upstream = MCPUpstream(
            configuration: configuration, clientInfo: clientInfo, capabilities: ClientCapabilities(features.json),
            logger: logger)
        return loops.map { MCPLink(upstream: upstream, engine: $0.engine, eventLoop: $0.eventLoop) }
    }
}
