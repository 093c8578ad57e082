import HTTPServer
import HTTPSyntax
import MCP
import Observability

extension GatewayRequest {
    /// Writes what is known of the request, once it is over, to its line of the access log.
    func write(_ summary: HTTPExchangeSummary, to line: inout LogLine) {
        let timings = upstream?.timings
        if let side { line.add("chat.route", side.rawValue) }
        if let clientAddress { line.add("client.address", clientAddress) }
        if let timings { line.add("connect.ms", milliseconds: timings.connect) }
        line.add("duration_ms", milliseconds: summary.duration)
        if let errorDetail { line.add("error.detail", errorDetail, limit: 256) }
        if let label { line.add("error.label", label.rawValue) }
        if let timings { line.add("first_byte.ms", milliseconds: timings.firstByte) }
        line.add(
            method: exchange.head.method.rawValue, path: exchange.path, requestBytes: summary.requestBytes,
            requestID: facts.requestID, responseBytes: summary.responseBytes, status: summary.status)
        if let timings { line.add("queue.ms", milliseconds: timings.queue) }
        line.add("route", route)
        if let timings { line.add("session.ms", milliseconds: timings.session) }
        if let reused = upstream?.sessionReused { line.add("session.reused", reused) }
        if let trace { line.add("span.id", hexadecimal: trace.spanID) }
        if let type { line.add("tool", type.tool) }
        if let trace = trace ?? facts.traceparent.flatMap({ TraceContext(traceparent: $0) }) {
            line.add("trace.id", hexadecimal: trace.traceHigh, trace.traceLow)
        }
        if let type { line.add("type", type.name) }
        guard let upstream else { return }
        line.add("upstream", upstream.name)
        if let era = upstream.era { line.add("upstream.era", era == .modern ? "modern" : "legacy") }
        if let duration = timings?.upstream ?? upstream.duration { line.add("upstream.ms", milliseconds: duration) }
        line.add("upstream.replays", upstream.replays)
    }
}

extension LogLine {
    /// Appends a field with an address.
    fileprivate mutating func add(_ key: StaticString, _ address: IPAddress) {
        if address.bytes.count == 4 {
            add(key, octets: address.bytes)
        } else {
            add(key, address.description)
        }
    }
}
