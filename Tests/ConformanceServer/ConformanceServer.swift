import HTTPServer
import HTTPSyntax
import Logging
import MCP
import MCPServer
import MCPServerHTTP
import NIOPosix

/// The server that the conformance suite runs against: `--port N` for Streamable HTTP on `/mcp`, else stdio.
@main
enum ConformanceServer {
    static func main() async throws {
        let logger = Logger(label: "conformance", factory: { StreamLogHandler.standardError(label: $0) })
        let server = try makeServer(logger: logger)
        guard let port = port(CommandLine.arguments) else {
            await StdioTransport(server: server).run()
            return
        }
        let endpoint = MCPHTTPEndpoint(streamable: StreamableHTTP(server: server))
        let http = HTTPServer(
            configuration: HTTPServerConfiguration(addresses: [.hostPort("127.0.0.1", port)]),
            group: MultiThreadedEventLoopGroup.singleton, logger: logger
        ) { _ in endpoint.handler(site: SiteRule(hosts: nil, listeners: [.loopback])) }
        try await http.start()
        // Runs until it is killed.
        while true { try await Task.sleep(for: .seconds(3600)) }
    }

    private static func port(_ arguments: [String]) -> Int? {
        guard let index = arguments.firstIndex(of: "--port"), index + 1 < arguments.count else { return nil }
        return Int(arguments[index + 1])
    }

    static func makeServer(logger: Logger) throws -> MCPServer {
        let server = MCPServer(
            info: Implementation(name: "conformance-server", version: "1.0.0"), logger: logger)
        for tool in CommonTools.all + LegacyTools.all + ModernTools.all(server) { try server.register(tool: tool) }
        for prompt in FixturePrompt.all { server.register(prompt: prompt) }
        server.register(resources: FixtureResources())
        server.register { parameters, _ in
            switch parameters.reference {
            case .prompt("test_prompt_with_arguments"), .resource("test://template/{id}/data"):
                CompleteResult(values: ["paris", "park", "party"].filter { $0.hasPrefix(parameters.argumentValue) })
            default: nil
            }
        }
        return server
    }
}
