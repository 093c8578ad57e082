import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization
import Testing

@testable import ConformanceServer
@testable import MCPAggregator

/// Every client revision with every server revision, over real sockets on both sides.
@Suite struct PairTests {
    private func withStack(
        _ pair: Pair, _ handlers: MCPClientHandlers = MCPClientHandlers(),
        _ body: (EndpointStack, MCPClient) async throws -> Void
    ) async throws {
        let stack = try await EndpointStack(
            [("fixture", pair.server, try ConformanceServer.makeServer(logger: quiet))])
        do {
            try await body(stack, stack.client(pair.client, handlers))
        } catch {
            await stack.stop()
            throw error
        }
        await stack.stop()
    }

    @Test(arguments: Pair.all)
    func toolsAreListedAndCalled(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            let description = try await client.connect()
            #expect(description.version == pair.client)
            let names = try await client.listTools().map(\.name)
            #expect(names.first == "test_simple_text")
            #expect(names.contains("test_image_content"))
            let text = try await client.callTool("test_simple_text")
            #expect(text.text == "This is a simple text response for testing.")
            let image = try await client.callTool("test_image_content", arguments: [:])
            #expect(image.content.count == 1)
            let failed = try await client.callTool("test_error_handling", arguments: [:])
            #expect(failed.isError)
            #expect(failed.text == "This tool intentionally returns an error for testing")
        }
    }

    @Test(arguments: Pair.all)
    func anUnknownToolIsInvalid(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            let failure = await #expect(throws: MCPCallError.self) { try await client.callTool("no_such_tool") }
            #expect(failure?.rpcError?.knownCode == .invalidParams)
            #expect(failure?.rpcError?.message == "Unknown tool: no_such_tool")
        }
    }

    @Test(arguments: Pair.all)
    func progressArrivesInOrder(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            let steps = Mutex<[Double]>([])
            _ = try await client.callTool("test_tool_with_progress", arguments: [:]) { step in
                steps.withLock { $0.append(step.progress) }
            }
            #expect(steps.withLock { $0 } == [0, 50, 100])
        }
    }

    @Test(arguments: Pair.all)
    func promptsAreListedAndRendered(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            #expect(try await client.listPrompts().contains { $0.name == "test_prompt_with_arguments" })
            let prompt = try await client.getPrompt(
                "test_prompt_with_arguments", arguments: ["arg1": "a", "arg2": "b"])
            #expect(prompt.messages.count == 1)
            let completion = try await client.complete(
                CompleteParameters(
                    reference: .prompt(name: "test_prompt_with_arguments"), argumentName: "arg1", argumentValue: "par"))
            #expect(completion.values == ["paris", "park", "party"])
        }
    }

    @Test(arguments: Pair.all)
    func resourcesAreListedAndRead(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            #expect(try await client.listResources().contains { $0.uri == "test://static-text" })
            #expect(try await client.listResourceTemplates().contains { $0.uriTemplate == "test://template/{id}/data" })
            let text = try await client.readResource("test://static-text")
            #expect(text.contents.count == 1)
            let templated = try await client.readResource("test://template/123/data")
            #expect(templated.contents.count == 1)
            let failure = await #expect(throws: MCPCallError.self) {
                try await client.readResource("test://no-such-resource")
            }
            let code = failure?.rpcError?.knownCode
            #expect(code == (pair.client.era == .modern ? .invalidParams : .resourceNotFound))
        }
    }

    @Test(arguments: Pair.all.filter { $0.client.hasElicitation && $0.server.hasElicitation })
    func aQuestionIsAnsweredByTheUser(_ pair: Pair) async throws {
        let handlers = MCPClientHandlers(elicit: { _ in
            ElicitResult(
                action: .accept, content: ["username": "ann", "email": "ann@example.com", "name": "Ann"])
        })
        try await withStack(pair, handlers) { _, client in
            if pair.server.era == .legacy {
                let result = try await client.callTool("test_elicitation", arguments: ["message": "Who are you?"])
                #expect(result.text.contains("User response:"))
                #expect(result.text.contains("ann"))
            } else {
                let result = try await client.callTool("test_input_required_result_elicitation", arguments: [:])
                #expect(result.text == "Hello, Ann!")
            }
        }
    }

    @Test(arguments: Pair.all.filter { $0.server.era == .legacy })
    func aClientThatCannotAnswerGetsWhatTheServerSays(_ pair: Pair) async throws {
        try await withStack(pair) { _, client in
            let result = try await client.callTool("test_sampling", arguments: ["prompt": "Hello"])
            #expect(result.isError)
        }
    }

    @Test(arguments: Pair.all.filter { $0.server == .v2026_07_28 })
    func stateOfAModernServerSurvivesSeveralRounds(_ pair: Pair) async throws {
        guard pair.client.hasElicitation else { return }
        let rounds = Atomic<Int>(0)
        let handlers = MCPClientHandlers(elicit: { _ in
            rounds.wrappingAdd(1, ordering: .relaxed)
            return ElicitResult(action: .accept, content: ["name": "Ann", "color": "blue", "ok": true])
        })
        try await withStack(pair, handlers) { _, client in
            let result = try await client.callTool("test_input_required_result_multi_round", arguments: [:])
            #expect(!result.isError)
            #expect(rounds.load(ordering: .relaxed) == 2)
        }
    }

    @Test(arguments: Pair.all.filter { $0.server.era == .legacy && $0.client.era == .legacy })
    func logMessagesArrive(_ pair: Pair) async throws {
        let lines = Mutex<[String]>([])
        let handlers = MCPClientHandlers(onNotification: { notification in
            guard notification.method == MCPMethod.message else { return }
            lines.withLock { $0.append(notification.params?["data"]?.string ?? "") }
        })
        try await withStack(pair, handlers) { _, client in
            _ = try await client.callTool("test_tool_with_logging", arguments: [:])
            #expect(
                lines.withLock { $0 } == [
                    "Tool execution started", "Tool processing data", "Tool execution completed",
                ])
        }
    }
}
