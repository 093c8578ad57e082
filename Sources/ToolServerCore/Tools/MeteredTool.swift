import JSON
import MCP
import MCPServer
import NIOCore
import Observability
import ServiceRuntime

/// Counts and times the calls of a tool, and records each as a span of its caller's trace.
struct MeteredTool<Base: Tool>: Tool {
    private let base: Base
    private let name: String
    private let metrics: ToolServerMetrics
    private let tracer: SpanExporter?

    init(_ base: Base, metrics: ToolServerMetrics, tracer: SpanExporter? = nil) throws {
        self.base = base
        self.metrics = metrics
        self.tracer = tracer
        name = try base.definition.name
    }

    var definition: ToolDefinition {
        get throws { try base.definition }
    }

    func isVisible(to principal: Principal?) -> Bool { base.isVisible(to: principal) }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let start = NIODeadline.now()
        do {
            let result = try await base.call(arguments, context: context)
            ended(result.isError ? "error" : "ok", start, context)
            return result
        } catch {
            ended(error is CancellationError ? "cancelled" : error is ToolError ? "error" : "failed", start, context)
            throw error
        }
    }

    private func ended(_ outcome: String, _ start: NIODeadline, _ context: ToolContext) {
        let end = NIODeadline.now()
        metrics.toolCalls.with(name, outcome).increment()
        metrics.toolDuration.with(name).observe(nanoseconds: (end - start).nanoseconds)
        guard let tracer else { return }
        let parent = context.traceparent.flatMap { TraceContext(traceparent: $0) }
        tracer.record(
            Span(
                "tools/call \(name)", .server, context: tracer.sampler.begin(parent), parentID: parent?.spanID,
                start: start, end: end,
                attributes: [
                    ("mcp.method.name", .string("tools/call")), ("gen_ai.tool.name", .string(name)),
                    ("mcp.protocol.version", .string(context.version.rawValue)),
                    ("tool.outcome", .string(outcome)), ("enduser.authenticated", .bool(context.principal != nil)),
                ], error: outcome == "ok" ? nil : outcome))
    }
}
