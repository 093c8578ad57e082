import CurlTransport
import Foundation
import JSON
import Logging
import MCP
import MCPClient
import NIOConcurrencyHelpers
import NIOPosix
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store
@testable import ToolServerCore

/// SQL tools that write, called over HTTP by a client of each era that asks its user.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct SQLWriteClientTests {
    private static let tools: JSONObject = [
        "rename": [
            "writes": true, "confirm": "Call project {id} {name}?",
            "statement": "UPDATE project SET name = :name WHERE id = :id",
            "arguments": ["id": ["type": "integer"], "name": [:]],
        ]
    ]

    /// - Parameter answer: The user's answer; nil for a client that cannot ask.
    private func with(
        _ version: MCPVersion, answer: ElicitResult.Action?,
        _ body: (MCPClient, ToolFixture, _ asked: () -> [String]) async throws -> Void
    ) async throws {
        try await ToolFixture.serving(["sqlTools": .object(Self.tools)]) { http, fixture in
            let token = try await fixture.toolServer.login.openSession(for: fixture.alice)
            let asked = NIOLockedValueBox<[String]>([])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let engine = CurlEngine(label: "test", configuration: CurlEngineConfiguration(), logger: logger)
            var handlers = MCPClientHandlers()
            if let answer {
                handlers = MCPClientHandlers(elicit: { parameters in
                    asked.withLockedValue { $0.append(parameters.message) }
                    return ElicitResult(action: answer, content: answer == .accept ? [:] : nil)
                })
            }
            let upstream = MCPUpstream(
                configuration: MCPUpstreamConfiguration(
                    name: "tools", url: http.base + "/mcp/", connectTimeout: .seconds(2).underSanitizer, trusted: true,
                    era: version.era == .modern ? .modern : .legacy,
                    legacyVersion: version.era == .legacy ? version : .latestLegacy),
                clientInfo: Implementation(name: "test", version: "1"), capabilities: handlers.capabilities,
                logger: logger)
            let client = MCPClient(
                upstream: upstream, engine: engine, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
                credentials: ForwardedCredentials(cookies: "sessionid=\(token.text)", authorization: nil),
                handlers: handlers)
            do {
                try await body(client, fixture) { asked.withLockedValue { $0 } }
            } catch {
                await engine.shutdown()
                throw error
            }
            await engine.shutdown()
        }
    }

    private func name(_ fixture: ToolFixture) async throws -> String? {
        try await fixture.store.column("SELECT name FROM project WHERE id = 1").first ?? nil
    }

    private static let versions: [MCPVersion] = [.v2025_06_18, .v2025_11_25, .v2026_07_28]

    @Test(arguments: versions) func theUserIsAskedInEitherEra(version: MCPVersion) async throws {
        try await with(version, answer: .accept) { client, fixture, asked in
            let meta: JSONObject = [MCPMeta.idempotencyKey: "k"]
            for _ in 0..<2 {
                let result = try await client.callTool("rename", arguments: ["id": 1, "name": "New"], meta: meta)
                #expect(result.structuredContent == ["results": [["changed": 1]]], "\(result.text)")
            }
            // The second call is the first one again.
            #expect(asked() == ["Call project 1 New?"])
            #expect(try await name(fixture) == "New")
        }
    }

    @Test(arguments: versions, [ElicitResult.Action.decline, .cancel])
    func aRefusalOfTheUserIsAToolError(version: MCPVersion, action: ElicitResult.Action) async throws {
        try await with(version, answer: action) { client, fixture, asked in
            let result = try await client.callTool("rename", arguments: ["id": 1, "name": "New"])
            #expect(result.isError && result.text == "The user did not confirm; nothing was changed")
            #expect(asked().count == 1)
            #expect(try await name(fixture) == "Urgent 1")
        }
    }

    @Test(arguments: versions) func aClientThatCannotAskChangesNothing(version: MCPVersion) async throws {
        try await with(version, answer: nil) { client, fixture, _ in
            do {
                let result = try await client.callTool("rename", arguments: ["id": 1, "name": "New"])
                #expect(result.isError && result.text.contains("the user cannot be asked"), "\(result.text)")
            } catch let failure as MCPCallError {
                #expect(version.era == .modern && failure.rpcError?.code == -32021)
            }
            #expect(try await name(fixture) == "Urgent 1")
        }
    }
}
