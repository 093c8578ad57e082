import AuthorizationClient
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
            let arguments = Array(CommandLine.arguments.dropFirst())
            let version = environment["MCP_CONFORMANCE_PROTOCOL_VERSION"].flatMap(MCPVersion.init(rawValue:))
            if scenario.hasPrefix("auth/") {
                try await protectedServer(
                    arguments, version: version, context: context, engine: engine, logger: logger
                ).run(context)
            } else {
                let notifications = NotificationLog()
                let client = try conversation(
                    arguments, version: version, handlers: Answers.handlers(notifications), engine: engine,
                    logger: logger)
                try await Scenario(client: client, context: context, notifications: notifications).run(scenario)
                await client.close()
            }
        } catch {
            FileHandle.standardError.write(Data("failed: \(error)\n".utf8))
            status = 1
        }
        await engine.shutdown()
        exit(status)
    }

    private static func protectedServer(
        _ arguments: [String], version: MCPVersion?, context: JSONValue, engine: CurlEngine, logger: Logger
    ) throws -> ProtectedServer {
        guard let text = arguments.last, let url = ServerURL(text) else { throw Failed("usage: ConformanceClient URL") }
        let proofKey = ProofKey()
        var configuration = configuration(text, version)
        configuration.signing = { proofKey.sign(&$0, now: Date()) }
        return ProtectedServer(
            upstream: MCPUpstream(
                configuration: configuration, clientInfo: info, capabilities: ClientCapabilities(), logger: logger),
            proofKey: proofKey,
            flow: AuthorizationFlow(server: url, context: context, proofKey: proofKey, engine: engine), engine: engine,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next())
    }

    private static let info = Implementation(name: "conformance-client", version: "1.0.0")

    /// A legacy revision in the environment opens with `initialize`; a modern one never does; without one the client
    /// finds out.
    private static func era(_ version: MCPVersion?) -> MCPUpstreamConfiguration.Era {
        switch version?.era {
        case .legacy: .legacy
        case .modern: .modern
        case nil: .auto
        }
    }

    private static func legacyVersion(_ version: MCPVersion?) -> MCPVersion {
        version.flatMap { $0.era == .legacy ? $0 : nil } ?? .latestLegacy
    }

    private static func configuration(_ url: String, _ version: MCPVersion?) -> MCPUpstreamConfiguration {
        MCPUpstreamConfiguration(
            name: "server", url: url, era: era(version), legacyVersion: legacyVersion(version))
    }

    private static func conversation(
        _ arguments: [String], version: MCPVersion?, handlers: MCPClientHandlers, engine: CurlEngine, logger: Logger
    ) throws -> any MCPConversation {
        if arguments.first == "--stdio", arguments.count > 1 {
            return try StdioMCPClient(
                command: arguments[1], arguments: Array(arguments.dropFirst(2)), clientInfo: info, handlers: handlers,
                configuration: StdioMCPClient.Configuration(era: era(version), legacyVersion: legacyVersion(version)),
                logger: logger)
        }
        guard let url = arguments.last else { throw Failed("usage: ConformanceClient URL") }
        return MCPClient(
            upstream: MCPUpstream(
                configuration: configuration(url, version), clientInfo: info, capabilities: handlers.capabilities,
                logger: logger), engine: engine,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(), handlers: handlers)
    }
}

/// What went wrong, in words.
struct Failed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
