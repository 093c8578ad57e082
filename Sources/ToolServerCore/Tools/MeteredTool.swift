import JSON
import MCP
import MCPServer
import NIOCore
import Observability
import ServiceRuntime

/// Wrapper that counts and times the calls of a tool, and records each as a span of its caller's trace.
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
        guard let tracer else { return try await measured(arguments, context) { _, _, _ in } }
        // A model that calls tools does so within the span of the tool that called the model.
        let parent = CurrentSpan.context ?? context.traceparent.flatMap { TraceContext(traceparent: $0) }
        let span = tracer.sampler.begin(parent)
        return try await CurrentSpan.$context.withValue(span) {
            try await measured(arguments, context) { outcome, start, end in
                record(span, parent, outcome, start, end, context, tracer)
            }
        }
    }

    private func measured(
        _ arguments: JSONObject, _ context: ToolContext,
        ended: (_ outcome: String, _ start: NIODeadline, _ end: NIODeadline) -> Void
    ) async throws -> CallToolResult {
        let start = NIODeadline.now()
        func over(_ outcome: String) {
            let end = NIODeadline.now()
            metrics.toolCalls.with(name, outcome).increment()
            metrics.toolDuration.with(name).observe(nanoseconds: (end - start).nanoseconds)
            ended(outcome, start, end)
        }
        do {
            let result = try await base.call(arguments, context: context)
            over(result.isError ? "error" : "ok")
            return result
        } catch {
            over(error is CancellationError ? "cancelled" : error is ToolError ? "error" : "failed")
            throw error
        }
    }

    private func record(
        _ span: TraceContext, _ parent: TraceContext?, _ outcome: String, _ start: NIODeadline, _ end: NIODeadline,
        _ context: ToolContext, _ tracer: SpanExporter
    ) {
        tracer.record(
            Span(
                "tools/call \(name)", .server, context: span, parentID: parent?.spanID, start: start, end: end,
                attributes: [
                    ("mcp.method.name", .string("tools/call")), ("gen_ai.tool.name", .string(name)),
                    ("mcp.protocol.version", .string(context.version.rawValue)),
                    ("tool.outcome", .string(outcome)), ("enduser.authenticated", .bool(context.principal != nil)),
                ], error: outcome == "ok" ? nil : outcome))
    }
}
