import CurlTransport
import HTTPServer
import JSON
import Logging
import MCP
import MCPClient
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import ConformanceServer
@testable import MCPAggregator

let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// An MCP server on a real socket.
struct ServedMCP {
    let http: HTTPServer
    let streamable: StreamableHTTP
    let url: String

    init(_ server: MCPServer) async throws {
        streamable = StreamableHTTP(server: server)
        let endpoint = MCPHTTPEndpoint(streamable: streamable)
        http = HTTPServer(
            configuration: HTTPServerConfiguration(addresses: [.hostPort("127.0.0.1", 0)]),
            group: MultiThreadedEventLoopGroup.singleton, logger: quiet
        ) { _ in endpoint.handler() }
        let port = try await http.start().first?.port ?? 0
        url = "http://127.0.0.1:\(port)/mcp"
    }

    func stop() async {
        streamable.shutdown()
        await http.drain(within: .seconds(1))
    }
}

/// An endpoint over fixture servers that are each spoken to in one revision, with a client of one revision in front.
struct EndpointStack {
    let servers: [ServedMCP]
    let router: EndpointRouter
    let front: ServedMCP
    let engine: CurlEngine
    let eventLoop: any EventLoop
    let following: Task<Void, Never>

    init(
        _ upstreams: [(name: String, version: MCPVersion, server: MCPServer)], prefixes: [String: String] = [:],
        deny: [String: [String]] = [:], limits: EndpointLimits = EndpointLimits(patience: .seconds(60))
    ) async throws {
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        engine = CurlEngine(label: "test", eventLoop: eventLoop, logger: quiet)
        var servers: [ServedMCP] = []
        var members: [EndpointMember] = []
        for upstream in upstreams {
            let served = try await ServedMCP(upstream.server)
            servers.append(served)
            members.append(
                EndpointMember(
                    HTTPUpstream(
                        Self.configuration(upstream.name, served.url, upstream.version),
                        clientInfo: Implementation(name: "endpoint", version: "1"),
                        loops: [(engine: engine, eventLoop: eventLoop)], logger: quiet),
                    prefix: prefixes[upstream.name] ?? "", deny: deny[upstream.name] ?? []))
        }
        self.servers = servers
        router = EndpointRouter(members, limits: limits, logger: quiet)
        let server = MCPServer(
            info: Implementation(name: "endpoint", version: "1"), forwarder: router, logger: quiet)
        front = try await ServedMCP(server)
        following = Task { [router] in await router.followChanges { server.announce($0) } }
    }

    static func configuration(_ name: String, _ url: String, _ version: MCPVersion) -> MCPUpstreamConfiguration {
        MCPUpstreamConfiguration(
            name: name, url: url, connectTimeout: .seconds(2).underSanitizer, trusted: true,
            era: version.era == .modern ? .modern : .legacy,
            legacyVersion: version.era == .modern ? .latestLegacy : version)
    }

    /// A client of that revision in front of the endpoint.
    func client(_ version: MCPVersion, _ handlers: MCPClientHandlers = MCPClientHandlers()) -> MCPClient {
        let upstream = MCPUpstream(
            configuration: Self.configuration("front", front.url, version),
            clientInfo: Implementation(name: "client", version: "1"), capabilities: handlers.capabilities, logger: quiet
        )
        return MCPClient(upstream: upstream, engine: engine, eventLoop: eventLoop, handlers: handlers)
    }

    func stop() async {
        following.cancel()
        await front.stop()
        for server in servers { await server.stop() }
        await engine.shutdown()
    }
}

/// Two revisions, one on each side of an endpoint.
struct Pair: Sendable, CustomTestStringConvertible {
    let client: MCPVersion
    let server: MCPVersion

    static let all = MCPVersion.allCases.flatMap { client in
        MCPVersion.allCases.map { Pair(client: client, server: $0) }
    }

    var testDescription: String { "client \(client), server \(server)" }
}
