import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import NIOConcurrencyHelpers
import NIOPosix
import TestSupport
import Testing

@testable import Assistant
@testable import Store
@testable import ToolServerCore

/// A tool-server with two accounts and some rows.
struct ToolFixture {
    let store: any InternalStore
    let toolServer: ToolServer
    let alice: Account
    let bob: Account

    init(
        on engine: Engine = .sqlite, provider: (any AnswerProvider)? = nil, document: JSONValue = .object([:]),
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
    static func serving(
        _ settings: JSONObject = [:], provider: (any AnswerProvider)? = EchoProvider(),
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

    func call(
        _ tool: String, _ arguments: JSONObject = [:], as account: Account? = nil
    ) async throws -> CallToolResult {
        try await toolServer.server.call(tool: tool, arguments: arguments, principal: account?.principal)
    }
}

/// Answers `Echo: PROMPT`, fails for `!fail`, and remembers what it was asked.
struct EchoProvider: AnswerProvider {
    let prompts = NIOLockedValueBox<[String]>([])

    func answer(_ question: Question, onDelta: AnswerDelta?) async throws -> String {
        let prompt = question.prompt
        prompts.withLockedValue { $0.append(prompt) }
        if prompt == "!fail" { throw AnswerError("model unavailable") }
        await onDelta?("Echo: ")
        await onDelta?(prompt)
        return "Echo: " + prompt
    }
}

/// Thinks before it repeats the prompt.
struct ThinkingProvider: AnswerProvider {
    func answer(_ question: Question, onDelta: AnswerDelta?) async throws -> String {
        await onDelta?("")
        await onDelta?(question.prompt)
        return question.prompt
    }
}
