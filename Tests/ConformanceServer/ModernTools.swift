import JSON
import MCP
import MCPServer

/// Tools of 2026-07-28.
enum ModernTools {
    static func all(_ server: MCPServer) -> [FixtureTool] { plain(server) + rounds }

    private static func tool(
        _ name: String, _ description: String, input: JSONValue = ToolDefinition.emptyInputSchema,
        body: @escaping @Sendable (JSONObject, ToolContext) async throws -> CallToolResult
    ) -> FixtureTool {
        FixtureTool(name, description, input: input, in: FixtureTool.modern, body: body)
    }

    private static func plain(_ server: MCPServer) -> [FixtureTool] {
        [
            tool("test_missing_capability", "Needs sampling") { _, context in
                try context.require(.sampling)
                return .text("The client can sample")
            },
            tool("test_streaming_elicitation", "Reports progress, then asks") { _, context in
                await context.progress(1, total: 2)
                let answers = try await context.ask([confirm])
                await context.progress(2, total: 2)
                return .text("Answered: \(answers.count)")
            },
            tool("test_logging_tool", "Logs when asked to") { _, context in
                await context.log(.info, data: "Tool execution started")
                await context.log(.info, data: "Tool execution completed")
                return .text("Logging finished")
            },
            tool("test_trigger_tool_change", "Announces a change of the tools") { [weak server] _, _ in
                server?.announce(.tools)
                return .text("Announced")
            },
            tool("test_trigger_prompt_change", "Announces a change of the prompts") { [weak server] _, _ in
                server?.announce(.prompts)
                return .text("Announced")
            },
            tool(
                "test_x_mcp_header", "Mirrors a parameter into a header",
                input: [
                    "type": "object",
                    "properties": [
                        "region": ["type": "string", "description": "Where to run", "x-mcp-header": "Region"]
                    ],
                ]
            ) { arguments, _ in .text("Region: \(arguments["region"]?.string ?? "none")") },
        ]
    }

    // MARK: Questions

    private static func form(_ key: String, _ message: String, _ property: String, _ type: JSONValue) -> ClientQuestion
    {
        let schema: JSONObject = [
            "type": "object", "properties": [property: ["type": type]], "required": [.string(property)],
        ]
        return ClientQuestion(key, .elicitation(ElicitParameters(message: message, requestedSchema: schema)))
    }

    private static func sampling(_ key: String, _ prompt: String) -> ClientQuestion {
        let message = SamplingMessage(role: .user, content: [.text(prompt)])
        return ClientQuestion(key, .sampling(CreateMessageParameters(messages: [message], maxTokens: 100)))
    }

    private static let name = form("user_name", "What is your name?", "name", "string")
    private static let capital = sampling("capital_question", "What is the capital of France?")
    private static let roots = ClientQuestion("client_roots", .roots)
    private static let confirm = form("confirm", "Please confirm", "ok", "boolean")

    private static let rounds: [FixtureTool] = [
        tool("test_input_required_result_elicitation", "Asks for a name") { _, context in
            let answer = try await context.ask([name])["user_name"]
            return .text("Hello, \(answer?["content"]?["name"]?.string ?? "nobody")!")
        },
        tool("test_input_required_result_sampling", "Asks the client's model") { _, context in
            let answer = try await context.ask([capital])["capital_question"] ?? .null
            return .text(try CreateMessageResult(json: answer).text)
        },
        tool("test_input_required_result_list_roots", "Asks for roots") { _, context in
            let answer = try await context.ask([roots])["client_roots"] ?? .null
            return .text("Roots: " + (try Root.list(json: answer)).map(\.uri).joined(separator: ", "))
        },
        tool("test_input_required_result_request_state", "Keeps state with the client") { _, context in
            _ = try await context.ask([confirm], state: "waiting-for-confirmation")
            return .text(context.state == "waiting-for-confirmation" ? "state-ok" : "state-missing")
        },
        tool("test_input_required_result_multiple_inputs", "Asks three things at once") { _, context in
            let answers = try await context.ask([name, capital, roots], state: "multiple")
            return .text("Received: " + answers.keys.sorted().joined(separator: ", "))
        },
        tool("test_input_required_result_multi_round", "Asks twice") { _, context in
            let first = try await context.ask(
                [form("step1", "Step 1: what is your name?", "name", "string")], state: ["step": 1])
            let second = try await context.ask(
                [form("step2", "Step 2: what is your favourite colour?", "color", "string")], state: ["step": 2])
            let name = first["step1"]?["content"]?["name"]?.string ?? "?"
            return .text("\(name) likes \(second["step2"]?["content"]?["color"]?.string ?? "?")")
        },
        tool("test_input_required_result_tampered_state", "Refuses state that was changed") { _, context in
            _ = try await context.ask([confirm], state: "sealed")
            return .text("state-ok")
        },
        tool("test_input_required_result_capabilities", "Asks only for what is declared") { _, context in
            let offered: [(ClientFeatures, ClientQuestion)] = [
                (.elicitation, name), (.sampling, capital), (.roots, roots),
            ]
            let allowed = offered.filter { context.clientFeatures.contains($0.0) }.map(\.1)
            guard !allowed.isEmpty else { return .text("Nothing can be asked") }
            let answers = try await context.ask(allowed)
            return .text("Received: " + answers.keys.sorted().joined(separator: ", "))
        },
    ]
}
