#if DEBUG

package import JSON
import Logging
package import MCP
package import NIOConcurrencyHelpers
import Observability
package import Store

@testable package import Assistant
@testable package import MCPServer

/// A tool-server whose AI is a scripted provider, with tools that the tests look into.
package struct AgentFixture {
    /// The tool-server with its accounts.
    package let tools: ToolFixture
    /// The scripted provider.
    package let fake: FakeProvider
    /// A tool that changes something: does nothing but remember that it ran.
    package let writing = RecordingTool("delete_project", isReadOnly: false)
    /// A tool that only logged-in callers see.
    package let secret = RecordingTool("secret_report", isReadOnly: true) { $0 != nil }

    /// Starts the provider with a script; `ai` and `sqlTools` are merged into the configuration.
    package init(_ script: [FakeProvider.Turn], ai: JSONObject = [:], sqlTools: JSONObject = [:]) async throws {
        fake = try await FakeProvider(script)
        let provider: JSONObject = ["baseURL": .string(fake.server.url + "/v1"), "model": "tiny"]
        tools = try await ToolFixture(
            document: ["toolServer": ["ai": .object(provider.merging(ai)), "sqlTools": .object(sqlTools)]])
        try tools.toolServer.server.register(tool: writing)
        try tools.toolServer.server.register(tool: secret)
    }

    /// The MCP server of the tool-server.
    package var server: MCPServer { tools.toolServer.server }

    /// Returns the assistant without MCP around it, so that the test makes the context.
    package func answers(_ adjust: (inout AgentConfiguration) -> Void = { _ in }) -> ModelResponses {
        var configuration = AgentConfiguration()
        configuration.passages = 0
        adjust(&configuration)
        return ModelResponses(
            model: fake.model(), configuration: configuration, documents: tools.store, server: server,
            metrics: AssistantMetrics(registry: MetricsRegistry()), logger: Logger(label: "test"))
    }

    /// Returns the context of a call by an account.
    package func context(
        _ account: Account? = nil, features: ClientFeatures = [], answers: JSONObject = [:], state: JSONValue? = nil
    ) -> ToolContext {
        ToolContext(
            principal: account?.principal, requestID: nil, version: .v2026_07_28, clientFeatures: features,
            logger: Logger(label: "test"), answers: answers, state: state)
    }

    /// Returns the results of tools that a request to the model carried.
    package func toolResults(_ request: Int) -> [String] {
        fake.messages(request).compactMap { $0["role"]?.string == "tool" ? $0["content"]?.string : nil }
    }

    /// Stops the provider.
    package func stop() { fake.server.stop() }
}

/// A tool that remembers its calls.
package struct RecordingTool: Tool {
    /// The tool's name.
    package let name: String
    /// True for a tool that says that it changes nothing.
    package let isReadOnly: Bool
    /// The rule that decides which callers see the tool.
    package let visible: @Sendable (Principal?) -> Bool
    /// The calls so far, in order.
    package let calls = NIOLockedValueBox<[(caller: String?, arguments: JSONObject)]>([])
    /// The calls that are under way, and the most that ever were.
    package let active = NIOLockedValueBox<(now: Int, most: Int)>((0, 0))
    /// Calls that must be under way at the same time before the first of them ends.
    package let together = NIOLockedValueBox(1)

    /// Creates a tool that every caller sees unless `visible` says otherwise.
    package init(_ name: String, isReadOnly: Bool, visible: @escaping @Sendable (Principal?) -> Bool = { _ in true }) {
        self.name = name
        self.isReadOnly = isReadOnly
        self.visible = visible
    }

    package var definition: ToolDefinition {
        ToolDefinition(
            name: name, description: "For tests.",
            inputSchema: ["type": "object", "properties": ["id": ["type": "integer"]]],
            annotations: ToolAnnotations(readOnlyHint: isReadOnly))
    }

    package func isVisible(to principal: Principal?) -> Bool { visible(principal) }

    package func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        calls.withLockedValue { $0.append((context.principal?.name, arguments)) }
        active.withLockedValue {
            $0.now += 1
            $0.most = max($0.most, $0.now)
        }
        defer { active.withLockedValue { $0.now -= 1 } }
        while active.withLockedValue({ $0.most }) < together.withLockedValue({ $0 }) {
            try Task.checkCancellation()
            await Task.yield()
        }
        return .structured(["results": ["done"]])
    }
}

#endif
