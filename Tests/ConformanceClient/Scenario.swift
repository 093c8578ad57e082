import JSON
import MCP
import MCPClient

/// What the client does in each of the suite's scenarios.
struct Scenario {
    let client: any MCPConversation
    let context: JSONValue
    let notifications: NotificationLog

    func run(_ name: String) async throws {
        switch name {
        case "initialize", "request-metadata", "json-schema-ref-no-deref":
            try await client.connect()
            _ = try await client.listTools()
        case "tools_call":
            try await call("add_numbers", ["a": 5, "b": 3])
        case "sse-retry":
            try await call("test_reconnection")
        case "elicitation-sep1034-client-defaults":
            // The server asks on the stream of the session, not on that of the call.
            try await whileListening { try await call("test_client_elicitation_defaults") }
        case "json-schema-2020-12-preservation":
            try await echoSchema()
        case "http-standard-headers":
            try await useEverything()
        case "http-custom-headers":
            try await replay()
        case "http-invalid-tool-headers":
            try await call("valid_tool", ["region": "us-west1"])
        case "sep-2322-client-request-state":
            for tool in try await client.listTools() where tool.name.hasPrefix("test_mrtr_") {
                _ = try await client.callTool(tool.name, arguments: [:])
            }
        case "steps":
            try await Steps(client: client, notifications: notifications).run(context["steps"]?.array ?? [])
        default:
            throw Failed("unknown scenario: \(name)")
        }
    }

    /// Calls one tool of those that the server lists.
    private func call(_ name: String, _ arguments: JSONObject = [:]) async throws {
        guard try await client.listTools().contains(where: { $0.name == name }) else {
            throw Failed("the server does not list \(name)")
        }
        let result = try await client.callTool(name, arguments: arguments)
        if result.isError { throw Failed("\(name): \(result.content.compactMap(\.text).joined())") }
    }

    /// Runs the body once the server-to-client stream is open, or is known not to be offered.
    private func whileListening(_ body: () async throws -> Void) async throws {
        let (opened, open) = AsyncStream.makeStream(of: Void.self)
        let listening = Task {
            defer { open.finish() }
            try await client.listen(to: SubscriptionFilter(), onOpen: { open.yield() })
        }
        for await _ in opened { break }
        defer { listening.cancel() }
        try await body()
    }

    private func echoSchema() async throws {
        guard let tool = try await client.listTools().first(where: { $0.name == "json_schema_2020_12_tool" }) else {
            throw Failed("the server does not list the tool with the schema")
        }
        _ = try await client.callTool("json_schema_echo", arguments: ["schema": tool.inputSchema])
    }

    /// One request of every method that the server serves.
    private func useEverything() async throws {
        let capabilities = try await client.connect().capabilities
        if capabilities.tools != nil {
            for tool in try await client.listTools() { _ = try await client.callTool(tool.name, arguments: [:]) }
        }
        if capabilities.resources != nil {
            for resource in try await client.listResources() { _ = try await client.readResource(resource.uri) }
        }
        if capabilities.prompts != nil {
            for prompt in try await client.listPrompts() { _ = try await client.getPrompt(prompt.name) }
        }
    }

    /// The tool calls that the context names.
    private func replay() async throws {
        let tools = try await client.listTools().map(\.name)
        for item in context["toolCalls"]?.array ?? [] {
            guard let name = item["name"]?.string, tools.contains(name) else { continue }
            _ = try await client.callTool(name, arguments: item["arguments"]?.object ?? [:])
        }
    }
}
