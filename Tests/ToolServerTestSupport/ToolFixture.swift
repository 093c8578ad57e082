#if DEBUG

package import Assistant
package import JSON
import JSONConfiguration
import Logging
package import MCP
import MCPServer
package import NIOConcurrencyHelpers
import NIOPosix
package import Store
package import TestSupport
import Testing

@testable package import ToolServerCore

/// A tool-server with two accounts and some rows.
package struct ToolFixture {
    /// The store of the tool-server.
    package let store: any InternalStore
    /// The tool-server.
    package let toolServer: ToolServer
    /// The account `alice`.
    package let alice: Account
    /// The account `bob`.
    package let bob: Account

    /// The metrics as they are exposed.
    package var metrics: String { toolServer.metrics.registry.exposition() }

    /// Builds the tool-server on a new store; nothing listens.
    package init(
        on engine: Engine = .sqlite, provider: (any ResponseProvider)? = nil, document: JSONValue = .object([:]),
        environment: [String: String] = [:]
    ) async throws {
        store = try await engine.store()
        toolServer = try buildToolServer(
            configuration: ToolServerConfiguration(document: document, environment: environment), store: store,
            provider: provider, hasher: .test(), logger: Logger(label: "test"))
        alice = try await toolServer.login.createAccount(username: "alice", alias: "Al", password: "alice's password")
        bob = try await toolServer.login.createAccount(username: "bob", alias: "", password: "bob's password")
        try await store.insert(projects: (1...7).map { ("Urgent \($0)", "planned") })
        try await store.putDocument(Document(title: "Leave", body: "Everybody has 28 days of leave."))
    }

    /// A tool-server that listens for as long as the body runs.
    /// - Parameter settings: `toolServer` of the configuration.
    package static func serving(
        _ settings: JSONObject = [:], provider: (any ResponseProvider)? = EchoProvider(),
        _ body: (HTTPTestClient, ToolFixture) async throws -> Void
    ) async throws {
        var settings = settings
        settings["port"] = 0
        let fixture = try await ToolFixture(provider: provider, document: ["toolServer": .object(settings)])
        let service = fixture.toolServer.httpService(group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await service.http.start().first?.port)
        let end: () async -> Void = {
            await service.drain()
            await fixture.toolServer.shutdown()
        }
        do {
            try await body(HTTPTestClient("http://127.0.0.1:\(port)"), fixture)
        } catch {
            await end()
            throw error
        }
        await end()
    }

    /// Calls a tool as an account, or without one.
    package func call(
        _ tool: String, _ arguments: JSONObject = [:], as account: Account? = nil
    ) async throws -> CallToolResult {
        try await toolServer.server.call(tool: tool, arguments: arguments, principal: account?.principal)
    }
}

/// Answers `Echo: PROMPT`, fails for `!fail`, and remembers what it was asked.
package struct EchoProvider: ResponseProvider {
    /// The prompts so far, in order.
    package let prompts = NIOLockedValueBox<[String]>([])

    /// Creates a provider that was asked nothing yet.
    package init() {}

    package func answer(_ question: Question, onDelta: ResponseDelta?) async throws -> String {
        let prompt = question.prompt
        prompts.withLockedValue { $0.append(prompt) }
        if prompt == "!fail" { throw AssistantError("model unavailable") }
        await onDelta?("Echo: ")
        await onDelta?(prompt)
        return "Echo: " + prompt
    }
}

#endif
