import Foundation
import JSON
import JSONSchema
import MCPServer
import NIOConcurrencyHelpers
import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import ToolServerCore

@Suite struct ToolTests {
    @Test func allToolsAreListedWithSchemasAndTruthfulAnnotations() async throws {
        let tools = try await ToolFixture().toolServer.server.toolDefinitions(for: nil)
        #expect(
            tools.map(\.name) == [
                "echo", "search_projects", "search_any", "get_user_info", "ai_prompt", "chat", "chat_history",
            ])
        for tool in tools {
            #expect(tool.title?.isEmpty == false)
            #expect(tool.description?.isEmpty == false)
            #expect(tool.inputSchema["type"]?.string == "object")
            #expect(tool.outputSchema?["type"]?.string == "object")
            let annotations = try #require(tool.annotations)
            let stores = tool.name == "chat" || tool.name == "ai_prompt"
            #expect(annotations.readOnlyHint == !stores)
            #expect(annotations.idempotentHint == !stores)
            #expect(annotations.destructiveHint == false)
            #expect(annotations.openWorldHint == stores)
        }
        let search = try #require(tools.first { $0.name == "search_any" })
        #expect(search.inputSchema["required"]?.array?.compactMap(\.string).sorted() == ["model", "query"])
        #expect(search.inputSchema["properties"]?["model"]?["enum"] == nil)
    }

    @Test(arguments: Engine.allCases)
    func resultsObeyTheirOutputSchemas(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine, provider: EchoProvider())
        let calls: [(String, JSONObject)] = [
            ("echo", ["message": "m"]), ("search_projects", ["query": "urgent"]),
            ("search_any", ["model": "projects", "query": "urgent"]), ("get_user_info", [:]),
            ("ai_prompt", ["prompt": "p"]), ("chat", ["message": "m"]), ("chat_history", [:]),
        ]
        for (name, arguments) in calls {
            let definition = try #require(
                fixture.toolServer.server.toolDefinitions(for: nil).first { $0.name == name })
            let result = try await fixture.call(name, arguments, as: fixture.alice)
            let structured = try #require(result.structuredContent)
            let schema = try JSONSchema(#require(definition.outputSchema))
            #expect(schema.validate(structured).isEmpty, "\(name)")
            #expect(try JSONValue(parsing: result.text) == structured)
        }
    }

    @Test func echoGivesBackItsMessage() async throws {
        let result = try await ToolFixture().call("echo", ["message": "Hello \0🚀"])
        #expect(result.structuredContent == ["Echo": "Hello \0🚀"])
    }

    @Test(arguments: Engine.allCases)
    func searchesFindFiveAtMost(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let projects = try await fixture.call("search_projects", ["query": "URGENT"])
        #expect(projects.structuredContent == ["results": .array((1...5).map { .string("Urgent \($0)") })])
        #expect(
            try await fixture.call("search_projects", ["query": "planned"]).structuredContent == ["results": []])
        let any = try await fixture.call("search_any", ["model": "projects", "query": "planned"])
        #expect(any.structuredContent?["results"]?.array?.count == 5)
        #expect(any.structuredContent?["results"]?[0] == ["name": "Urgent 1", "url": "/psm/project/1/"])
    }

    @Test(arguments: ["nope", "Projects", ""])
    func anUnknownModelListsTheKnownOnes(model: String) async throws {
        let result = try await ToolFixture().call("search_any", ["model": .string(model), "query": "x"])
        #expect(result.isError)
        #expect(result.text == "Unknown model")
        #expect(result.structuredContent?["models"] == ["projects", "tasks", "customers", "documents"])
    }

    @Test(arguments: Engine.allCases)
    func argumentsOfTheWrongTypeNameTheirField(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let calls: [(JSONObject, String)] = [
            (["model": "projects", "query": 100], "query"), (["model": "projects"], "query"),
            (["model": ["projects"], "query": "x"], "model"),
        ]
        for (arguments, field) in calls {
            do {
                _ = try await fixture.call("search_any", arguments)
                Issue.record("accepted \(arguments)")
            } catch let refusal as ToolCallError {
                guard case .invalidArguments(let violations) = refusal else {
                    Issue.record("\(refusal)")
                    return
                }
                #expect(violations.joined().contains(field))
            }
        }
    }

    @Test(arguments: Engine.allCases)
    func usersSeeThemselvesAndNobodyElse(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let alice = try await fixture.call("get_user_info", as: fixture.alice)
        #expect(alice.structuredContent == ["results": ["username": "alice", "alias": "Al"]])
        let bob = try await fixture.call("get_user_info", as: fixture.bob)
        #expect(bob.structuredContent == ["results": ["username": "bob", "alias": ""]])
    }

    @Test(arguments: ["get_user_info", "chat_history"])
    func anonymousCallersAreNotAuthenticated(tool: String) async throws {
        let result = try await ToolFixture().call(tool)
        #expect(result.isError)
        #expect(result.text == "Not authenticated")
    }

    @Test(arguments: [("ai_prompt", "prompt", "Empty prompt"), ("chat", "message", "Empty message")])
    func blankPromptsAreRefused(tool: String, argument: String, text: String) async throws {
        let fixture = try await ToolFixture(provider: EchoProvider())
        for blank in ["", " \t\n ", "\u{A0}\u{2003}", "\u{1C}\u{1F}"] {
            let result = try await fixture.call(tool, [argument: .string(blank)])
            #expect(result.isError)
            #expect(result.text == text)
        }
        // Python's strip removes neither.
        for visible in ["\u{200B}", "\u{FEFF}"] {
            #expect(try await !fixture.call(tool, [argument: .string(visible)]).isError)
        }
    }

    @Test(arguments: Engine.allCases, [("ai_prompt", "prompt"), ("chat", "message")])
    func answersAreStoredForWhoeverIsLoggedIn(engine: Engine, call: (tool: String, argument: String)) async throws {
        let (tool, argument) = call
        let provider = EchoProvider()
        let fixture = try await ToolFixture(on: engine, provider: provider)
        let prompt = " Explain\0 Q2 \u{200B}"
        let result = try await fixture.call(tool, [argument: .string(prompt)], as: fixture.alice)
        #expect(result.structuredContent == ["results": .string("Echo: " + prompt)])
        #expect(provider.prompts.withLockedValue { $0 } == [prompt])
        _ = try await fixture.call(tool, [argument: "anonymous"])

        let history = try await fixture.call("chat_history", as: fixture.alice)
        let exchanges = try #require(history.structuredContent?["results"]?.array)
        #expect(exchanges.count == 1)
        #expect(exchanges.first?["message"]?.string == prompt)
        #expect(exchanges.first?["response"]?.string == "Echo: " + prompt)
        let at = try #require(exchanges.first?["at"]?.string)
        #expect(at.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
        #expect(
            try await fixture.call("chat_history", as: fixture.bob).structuredContent == ["results": []])
    }

    @Test(arguments: Engine.allCases)
    func historyIsTheLatestFiftyNewestFirst(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine, provider: EchoProvider())
        for number in 1...55 {
            _ = try await fixture.call("chat", ["message": .string("\(number)")], as: fixture.alice)
        }
        let history = try await fixture.call("chat_history", as: fixture.alice)
        let messages = history.structuredContent?["results"]?.array?.compactMap { $0["message"]?.string }
        #expect(messages == (6...55).reversed().map(String.init))
    }

    @Test(arguments: Engine.allCases)
    func aProvidersErrorIsTheToolsAndIsNotStored(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine, provider: EchoProvider())
        let result = try await fixture.call("ai_prompt", ["prompt": "!fail"], as: fixture.alice)
        #expect(result.isError)
        #expect(result.text == "AI error: model unavailable")
        #expect(try await fixture.store.messages(userID: fixture.alice.principal.id, limit: 5).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func anAnswerThatCannotBeStoredStillGoesOut(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine, provider: EchoProvider())
        try await fixture.store.change("DROP TABLE message")
        let result = try await fixture.call("chat", ["message": "hello"], as: fixture.alice)
        #expect(result.structuredContent == ["results": "Echo: hello"])
        let history = try await fixture.call("chat_history", as: fixture.alice)
        #expect(history.isError)
        #expect(history.text == "The database is unavailable")
        #expect(history.status == 503)
    }

    @Test func progressCarriesTheDeltas() async throws {
        let fixture = try await ToolFixture(provider: EchoProvider())
        let steps = NIOLockedValueBox<[ToolProgress]>([])
        _ = try await fixture.toolServer.server.call(tool: "chat", arguments: ["message": "hi"], principal: nil) {
            step in
            steps.withLockedValue { $0.append(step) }
        }
        let seen = steps.withLockedValue { $0 }
        #expect(seen.map(\.message) == ["Echo: ", "hi"])
        #expect(seen.map(\.progress) == [1, 2])
    }

    @Test func workWithoutWordsIsProgressWithoutAMessage() async throws {
        let fixture = try await ToolFixture(provider: ThinkingProvider())
        let steps = NIOLockedValueBox<[ToolProgress]>([])
        _ = try await fixture.toolServer.server.call(tool: "chat", arguments: ["message": "hi"], principal: nil) {
            step in
            steps.withLockedValue { $0.append(step) }
        }
        let seen = steps.withLockedValue { $0 }
        #expect(seen.map(\.message) == [nil, "hi"])
        #expect(seen.map(\.progress) == [1, 2])
    }

    @Test(arguments: Engine.allCases)
    func withoutAProviderTheDocumentsAnswer(engine: Engine) async throws {
        let result = try await ToolFixture(on: engine).call("ai_prompt", ["prompt": "How many days of leave?"])
        let text = try #require(result.structuredContent?["results"]?.string)
        #expect(text.contains("From the documents"))
        #expect(text.contains("“Everybody has 28 days of leave.”\n— Leave (/ai/document/1/)"))
    }
}

/// Thinks before it repeats the prompt.
struct ThinkingProvider: ResponseProvider {
    func answer(_ question: Question, onDelta: ResponseDelta?) async throws -> String {
        await onDelta?("")
        await onDelta?(question.prompt)
        return question.prompt
    }
}
