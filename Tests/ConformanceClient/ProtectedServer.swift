import AuthorizationClient
import CurlTransport
import JSON
import MCP
import MCPClient
import NIOCore

/// A client of a protected MCP server: asks without a token first, gets one when it is refused, and repeats the request.
final class ProtectedServer {
    private let upstream: MCPUpstream
    private let engine: CurlEngine
    private let eventLoop: any EventLoop
    private let proofKey: ProofKey
    private let flow: AuthorizationFlow
    private var client: MCPClient

    /// Largest number of tokens that are fetched for one request.
    private static let attempts = 2

    init(
        upstream: MCPUpstream, proofKey: ProofKey, flow: AuthorizationFlow, engine: CurlEngine,
        eventLoop: any EventLoop
    ) {
        self.upstream = upstream
        self.proofKey = proofKey
        self.engine = engine
        self.eventLoop = eventLoop
        self.flow = flow
        client = MCPClient(upstream: upstream, engine: engine, eventLoop: eventLoop)
    }

    /// Opens a connection, lists the tools, and calls each that needs no arguments as often as the context says.
    func run(_ context: JSONValue) async throws {
        _ = try await perform { try await $0.connect() }
        let tools = try await perform { try await $0.listTools() }
        for tool in tools {
            for _ in 0..<(context["calls"]?.int ?? 1) {
                let result = try await perform { try await $0.callTool(tool.name, arguments: [:]) }
                if result.isError { throw Failed("\(tool.name): \(result.content.compactMap(\.text).joined())") }
            }
        }
        await client.close()
    }

    private func perform<Result>(_ request: (MCPClient) async throws -> Result) async throws -> Result {
        var attempts = 0
        var nonces = 0
        while true {
            do {
                return try await request(client)
            } catch let failure as MCPCallError where failure.kind == .unauthorized || failure.kind == .forbidden {
                let refusal = BearerRefusal(failure.wwwAuthenticate)
                if refusal?.needsNonce == true, let nonce = failure.proofNonce, nonces < Self.attempts {
                    nonces += 1
                    proofKey.note(nonce: nonce, from: upstream.configuration.url)
                    continue
                }
                let isAnswerable = failure.kind == .unauthorized || refusal?.isInsufficientScope == true
                guard isAnswerable, attempts < Self.attempts else { throw failure }
                attempts += 1
                let token = try await flow.token(after: refusal)
                client = MCPClient(
                    upstream: upstream, engine: engine, eventLoop: eventLoop,
                    credentials: ForwardedCredentials(cookies: nil, authorization: token.authorization))
            }
        }
    }
}
