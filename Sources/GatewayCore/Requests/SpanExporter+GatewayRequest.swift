import HTTPServer
import MCP
import NIOCore
import Observability
import ServiceRuntime

extension SpanExporter {
    /// Records a finished request: the server's span, and one for the call of the upstream.
    func record(_ exchange: GatewayRequest, _ trace: TraceContext, _ summary: HTTPExchangeSummary) {
        let start = exchange.exchange.start
        let end = start + .nanoseconds(summary.duration.nanoseconds)
        let method = Self.bounded(exchange.exchange.head.method.rawValue)
        let parent = exchange.facts.traceparent.flatMap { TraceContext(traceparent: $0) }
        var attributes: [(String, Span.Value)] = [
            ("http.request.method", .string(method)), ("http.route", .string(exchange.route)),
            ("url.path", .string(String(exchange.exchange.path.prefix(256)))),
            ("http.response.status_code", .int(summary.status)), ("http.request.id", .string(exchange.facts.requestID)),
        ]
        if let type = exchange.type {
            attributes.append(("chat.type", .string(type.name)))
            attributes.append(("gen_ai.tool.name", .string(type.tool)))
        }
        let label = exchange.label?.rawValue ?? (summary.status == 499 ? "client_closed" : nil)
        if let label { attributes.append(("error.type", .string(label))) }
        record(
            Span(
                "\(method) \(exchange.route)", .server, context: trace, parentID: parent?.spanID, start: start,
                end: end,
                attributes: attributes, error: summary.status >= 499 ? label ?? "status \(summary.status)" : nil))
        if let upstream = exchange.upstream, let span = upstream.span {
            record(client(exchange, upstream, span, parent: trace, end: upstream.end ?? end))
        }
    }

    private func client(
        _ exchange: GatewayRequest, _ upstream: GatewayRequest.UpstreamRecord, _ span: TraceContext,
        parent: TraceContext, end: NIODeadline
    ) -> Span {
        var attributes: [(String, Span.Value)] = [("peer.service", .string(upstream.name))]
        var events: [Span.Event] = []
        // The old backend gets the payload unchanged: there is no MCP call to describe.
        let type = exchange.side == .chat ? nil : exchange.type
        if let type {
            attributes.append(("mcp.method.name", .string(MCPMethod.toolsCall)))
            attributes.append(("gen_ai.tool.name", .string(type.tool)))
        }
        if let era = upstream.era { attributes.append(("mcp.era", .string(era == .modern ? "modern" : "legacy"))) }
        if let reused = upstream.sessionReused { attributes.append(("mcp.session.reused", .bool(reused))) }
        attributes.append(("mcp.replays", .int(upstream.replays)))
        if let timings = upstream.timings {
            // The phases follow one another; each event marks the end of one.
            var time = upstream.start
            func passed(_ name: String, _ duration: Duration) {
                time = time + .nanoseconds(duration.nanoseconds)
                events.append(Span.Event(name, at: time, [("duration_ms", .double(duration.milliseconds))]))
            }
            if timings.queue > .zero { passed("queue", timings.queue) }
            passed("session", timings.session)
            if upstream.replays > 0 {
                events.append(Span.Event("replay", at: time, [("count", .int(upstream.replays))]))
            }
            passed("upstream", timings.upstream)
        }
        let error = exchange.label.flatMap { $0.facts.source == .upstream ? $0.rawValue : nil }
        if let error { attributes.append(("error.type", .string(error))) }
        let name = type.map { "\(MCPMethod.toolsCall) \($0.tool)" } ?? exchange.route
        return Span(
            name, .client, context: span, parentID: parent.spanID, start: upstream.start, end: end,
            attributes: attributes, events: events, error: error)
    }

    /// Returns the method if it is a known one. Clients invent methods, and the number of span names must stay small.
    private static func bounded(_ method: String) -> String {
        let known: Set<String> = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"]
        return known.contains(method) ? method : "_OTHER"
    }
}
