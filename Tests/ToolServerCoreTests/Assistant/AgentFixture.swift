import JSON
import Logging
import MCP
import NIOConcurrencyHelpers
import Observability
import TestSupport

@testable import Assistant
@testable import MCPServer
@testable import Store
@testable import ToolServerCore

/// A tool-server whose AI is a scripted provider, with tools that the tests look into.
struct AgentFixture {
    let tools: ToolFixture
    let fake: FakeProvider
    /// A tool that changes something: does nothing but remember that it ran.
    let writing = RecordingTool("delete_project", isReadOnly: false)
    /// A tool that only logged-in callers see.
    let secret = RecordingTool("secret_report", isReadOnly: true) { $0 != nil }

    init(_ script: [FakeProvider.Turn], ai: JSONObject = [:]) async throws {
        fake = try await FakeProvider(script)
        let provider: JSONObject = ["baseURL": .string(fake.server.url + "/v1"), "model": "tiny"]
        tools = try await ToolFixture(
            document: ["toolServer": ["ai": .object(provider.merging(ai))]])
        try tools.toolServer.server.register(tool: writing)
        try tools.toolServer.server.register(tool: secret)
    }

    var server: MCPServer { tools.toolServer.server }

    /// Answers without MCP around them, so that the test makes the context.
    func answers(_ adjust: (inout AgentConfiguration) -> Void = { _ in }) -> ModelAnswers {
        var configuration = AgentConfiguration()
        configuration.passages = 0
        adjust(&configuration)
        return ModelAnswers(
            model: fake.model(), configuration: configuration, documents: tools.store, server: server,
            metrics: AnswerMetrics(registry: MetricsRegistry()), logger: Logger(label: "test"))
    }

    func context(
        _ account: Account? = nil, features: ClientFeatures = [], answers: JSONObject = [:], state: JSONValue? = nil
    ) -> ToolContext {
        ToolContext(
            principal: account?.principal, requestID: nil, version: .v2026_07_28, clientFeatures: features,
            logger: Logger(label: "test"), answers: answers, state: state)
    }

    /// What the model was told of the calls in its last turn but one.
    func toolResults(_ request: Int) -> [String] {
        fake.messages(request).compactMap { $0["role"]?.string == "tool" ? $0["content"]?.string : nil }
    }

    func stop() { fake.server.stop() }
}

struct RecordingTool: Tool {
    let name: String
    let isReadOnly: Bool
    let visible: @Sendable (Principal?) -> Bool
    let calls = NIOLockedValueBox<[(caller: String?, arguments: JSONObject)]>([])
    let active = NIOLockedValueBox<(now: Int, most: Int)>((0, 0))
    /// Calls that must be under way at the same time before the first of them ends.
    let together = NIOLockedValueBox(1)

    init(_ name: String, isReadOnly: Bool, visible: @escaping @Sendable (Principal?) -> Bool = { _ in true }) {
        self.name = name
        self.isReadOnly = isReadOnly
        self.visible = visible
    }

    var definition: ToolDefinition {
        ToolDefinition(
            name: name, description: "For tests.",
            inputSchema: ["type": "object", "properties": ["id": ["type": "integer"]]],
            annotations: ToolAnnotations(readOnlyHint: isReadOnly))
    }

    func isVisible(to principal: Principal?) -> Bool { visible(principal) }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
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
