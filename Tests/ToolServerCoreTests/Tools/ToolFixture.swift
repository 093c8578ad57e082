import Configuration
import Foundation
import JSON
import Logging
import MCP
import MCPServer
import NIOConcurrencyHelpers

@testable import ToolServerCore

/// A tool-server with two accounts and some rows.
struct ToolFixture {
    let store: any OwnStore
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
        try await store.insertDocument(Document(title: "Leave", body: "Everybody has 28 days of leave."))
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
