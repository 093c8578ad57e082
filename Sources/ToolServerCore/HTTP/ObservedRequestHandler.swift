import HTTPServer
import HTTPSyntax
import JSONConfiguration
import NIOCore
import NIOHTTP1
import Observability

/// Handler that gives each request its identifier, runs it as a task, and logs and counts its end.
final class ObservedRequestHandler: HTTPRequestHandler {
    typealias Respond = @Sendable (AsyncHTTPRequest, AsyncHTTPResponder, _ requestID: String) async -> Void

    private let bodyLimit: Int
    private let site: SiteRule
    private let metrics: ToolServerMetrics
    private let accessLog: AccessLog?
    private let respond: Respond

    /// - Parameter site: Rule for accepting `Host` and `Origin` of every request.
    init(
        bodyLimit: Int, site: SiteRule, metrics: ToolServerMetrics, accessLog: AccessLog?,
        respond: @escaping Respond
    ) {
        self.bodyLimit = bodyLimit
        self.site = site
        self.metrics = metrics
        self.accessLog = accessLog
        self.respond = respond
    }

    func handle(_ exchange: HTTPExchange) {
        let requestID = RequestIdentifier.accept(exchange.head.headers.first(name: "X-Request-Id"))
        let respond = respond
        handler(requestID, exchange.remoteAddress) { await respond($0, $1, requestID) }.handle(exchange)
    }

    func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        let requestID = RequestIdentifier.accept(exchange.head.headers.first(name: "X-Request-Id"))
        handler(requestID, exchange.remoteAddress) { _, _ in }.reject(failure, exchange)
    }

    private func handler(
        _ requestID: String, _ address: SocketAddress?,
        _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void
    ) -> AsyncHTTPHandler {
        let metrics = metrics
        let accessLog = accessLog
        let site = site
        return AsyncHTTPHandler(
            bodyLimit: bodyLimit, failureHeaders: ["X-Request-Id": requestID], site: { site },
            onFinish: { head, summary in
                let path = head.uri.prefix { $0 != "?" }
                let route = Route(path: path)
                metrics.requests.with(route.label, String(summary.status)).increment()
                metrics.requestDuration.with(route.label).observe(summary.duration)
                // A gateway lists the tools every few seconds as a health check. The server has compared the header
                // with the body, so that no other method is hidden behind it.
                let isProbe = summary.status == 200 && head.headers["Mcp-Method"] == ["tools/list"]
                // The keys are those of the gateway's access log.
                accessLog?.write(level: isProbe ? .debug : .info) { line in
                    if let address = address?.ipAddress { line.add("client.address", address) }
                    line.add("duration_ms", milliseconds: summary.duration)
                    if summary.status == 403, site.refusal(of: head, from: address) != nil {
                        line.add("error.label", "forbidden_origin")
                    }
                    line.add(
                        method: head.method.rawValue, path: path, requestBytes: summary.requestBytes,
                        requestID: requestID, responseBytes: summary.responseBytes, status: summary.status)
                    line.add("route", route.label)
                    if let trace = head.headers.first(name: "traceparent").flatMap({ TraceContext(traceparent: $0) }) {
                        line.add("trace.id", hexadecimal: trace.traceHigh, trace.traceLow)
                    }
                }
            }, respond)
    }
}

/// Access logs of a group's event loops.
struct AccessLogs {
    private let byLoop: [ObjectIdentifier: AccessLog]

    /// - Parameter output: Destination of their lines; nil: there are no access logs.
    init(_ output: LogOutput?, _ group: any EventLoopGroup) {
        guard let output else {
            byLoop = [:]
            return
        }
        let logs = group.makeIterator().map { (ObjectIdentifier($0), AccessLog(label: "tool-server", output: output)) }
        byLoop = Dictionary(logs) { first, _ in first }
    }

    /// Returns the access log of a loop of the group.
    func log(of eventLoop: any EventLoop) -> AccessLog? { byLoop[ObjectIdentifier(eventLoop)] }
}
