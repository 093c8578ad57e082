import JSON
import MCP
import MCPServer
import Observability

/// Counts and times the calls of a tool.
struct MeteredTool<Base: Tool>: Tool {
    private let base: Base
    private let name: String
    private let metrics: ToolServerMetrics

    init(_ base: Base, metrics: ToolServerMetrics) throws {
        self.base = base
        self.metrics = metrics
        name = try base.definition.name
    }

    var definition: ToolDefinition {
        get throws { try base.definition }
    }

    func isVisible(to principal: Principal?) -> Bool { base.isVisible(to: principal) }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let start = ContinuousClock.now
        defer { metrics.toolDuration.with(name).observe(ContinuousClock.now - start) }
        do {
            let result = try await base.call(arguments, context: context)
            metrics.toolCalls.with(name, result.isError ? "error" : "ok").increment()
            return result
        } catch {
            let outcome = error is CancellationError ? "cancelled" : error is ToolError ? "error" : "failed"
            metrics.toolCalls.with(name, outcome).increment()
            throw error
        }
    }
}
