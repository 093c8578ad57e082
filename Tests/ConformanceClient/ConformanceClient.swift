import CurlTransport
import Foundation
import JSON
import Logging
import MCP
import MCPClient
import NIOPosix

/// The client that the conformance suite runs: `ConformanceClient URL`, or `ConformanceClient --stdio COMMAND ARGUMENT…`.
///
/// What to do is in the environment: `MCP_CONFORMANCE_SCENARIO`, `MCP_CONFORMANCE_PROTOCOL_VERSION` and
/// `MCP_CONFORMANCE_CONTEXT` (JSON). Exits with 0 on success.
@main
enum ConformanceClient {
    static func main() async {
        let environment = ProcessInfo.processInfo.environment
        let logger = Logger(label: "conformance", factory: { StreamLogHandler.standardError(label: $0) })
        let engine = CurlEngine(label: "conformance", configuration: CurlEngineConfiguration(), logger: logger)
        var status: Int32 = 0
        do {
            let scenario = environment["MCP_CONFORMANCE_SCENARIO"] ?? "initialize"
            let context = try environment["MCP_CONFORMANCE_CONTEXT"].map { try JSONValue(parsing: $0) } ?? [:]
            let notifications = NotificationLog()
            let client = try conversation(
                Array(CommandLine.arguments.dropFirst()),
                version: environment["MCP_CONFORMANCE_PROTOCOL_VERSION"].flatMap(MCPVersion.init(rawValue:)),
                handlers: Answers.handlers(notifications), engine: engine, logger: logger)
            try await Scenario(client: client, context: context, notifications: notifications).run(scenario)
            await client.close()
        } catch {
            FileHandle.standardError.write(Data("failed: \(error)\n".utf8))
            status = 1
        }
        await engine.shutdown()
        exit(status)
    }

    /// A legacy revision in the environment opens with `initialize`; a modern one never does; without one the client
    /// finds out.
    private static func conversation(
        _ arguments: [String], version: MCPVersion?, handlers: MCPClientHandlers, engine: CurlEngine, logger: Logger
    ) throws -> any MCPConversation {
        let era: MCPUpstreamConfiguration.Era =
            switch version?.era {
            case .legacy: .legacy
            case .modern: .modern
            case nil: .auto
            }
        let legacyVersion = version.flatMap { $0.era == .legacy ? $0 : nil } ?? .latestLegacy
        let info = Implementation(name: "conformance-client", version: "1.0.0")
        if arguments.first == "--stdio", arguments.count > 1 {
            return try StdioMCPClient(
                command: arguments[1], arguments: Array(arguments.dropFirst(2)), clientInfo: info, handlers: handlers,
                configuration: StdioMCPClient.Configuration(era: era, legacyVersion: legacyVersion), logger: logger)
        }
        guard let url = arguments.last else { throw Failed("usage: ConformanceClient URL") }
        let upstream = MCPUpstream(
            configuration: MCPUpstreamConfiguration(
                name: "server", url: url, era: era, legacyVersion: legacyVersion),
            clientInfo: info, capabilities: handlers.capabilities, logger: logger)
        return MCPClient(
            upstream: upstream, engine: engine, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            handlers: handlers)
    }
}

/// What went wrong, in words.
struct Failed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
