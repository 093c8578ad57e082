import HTTPServer
import HTTPSyntax
import JSON
import JSONConfiguration
import Logging
import NIOCore
import NIOHTTP1
import Observability

/// Handler that gives each request its identifier, runs it as a task, and logs and counts its end.
final class ObservedRequestHandler: HTTPRequestHandler {
    typealias Respond = @Sendable (AsyncHTTPRequest, AsyncHTTPResponder, _ requestID: String) async -> Void

    private let bodyLimit: Int
    private let site: SiteRule
    private let metrics: ToolServerMetrics
    private let logger: Logger
    private let respond: Respond

    /// - Parameter site: Rule for accepting `Host` and `Origin` of every request.
    init(
        bodyLimit: Int, site: SiteRule, metrics: ToolServerMetrics, logger: Logger, respond: @escaping Respond
    ) {
        self.bodyLimit = bodyLimit
        self.site = site
        self.metrics = metrics
        self.logger = logger
        self.respond = respond
    }

    func handle(_ exchange: HTTPExchange) {
        let requestID = RequestIdentifier.accept(exchange.head.headers.first(name: "X-Request-Id"))
        let respond = respond
        handler(requestID, exchange.remoteAddress) { await respond($0, $1, requestID) }.handle(exchange)
    }

    func reject(_ failure: HTTPFailure, _ exchange: HTTPExchange) {
        let requestID = RequestIdentifier.accept(exchange.head.headers.first(name: "X-Request-Id"))
        handler(requestID, exchange.remoteAddress) { _, _ in }.reject(failure, exchange)
    }

    private func handler(
        _ requestID: String, _ address: SocketAddress?,
        _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void
    ) -> AsyncHTTPHandler {
        let metrics = metrics
        let logger = logger
        let site = site
        return AsyncHTTPHandler(
            bodyLimit: bodyLimit, failureHeaders: ["X-Request-Id": requestID], site: { site },
            onFinish: { head, summary in
                let path = head.uri.prefix { $0 != "?" }
                let route = Route(path: path)
                metrics.requests.with(route.label, String(summary.status)).increment()
                metrics.requestDuration.with(route.label).observe(summary.duration)
                // The keys are those of the gateway's access log.
                var metadata: Logger.Metadata = [
                    "http.request_id": .string(requestID),
                    "http.method": .string(String(head.method.rawValue.prefix(32))),
                    "http.path": .string(String(path).printable), "http.status": .stringConvertible(summary.status),
                    "http.request_bytes": .stringConvertible(summary.requestBytes),
                    "http.response_bytes": .stringConvertible(summary.responseBytes),
                    "duration_ms": .stringConvertible(summary.duration.milliseconds), "route": .string(route.label),
                ]
                if let address = address?.ipAddress { metadata["client.address"] = .string(address) }
                if let traceparent = head.headers.first(name: "traceparent"),
                    let trace = TraceContext(traceparent: traceparent)
                {
                    metadata["trace.id"] = .string(trace.traceID)
                }
                if summary.status == 403, site.refusal(of: head, from: address) != nil {
                    metadata["error.label"] = "forbidden_origin"
                }
                // A gateway lists the tools every few seconds as a health check. The server has compared the header
                // with the body, so that no other method is hidden behind it.
                let isProbe = summary.status == 200 && head.headers["Mcp-Method"] == ["tools/list"]
                logger.log(level: isProbe ? .debug : .info, "request", metadata: metadata)
            }, respond)
    }
}

extension Duration {
    /// Milliseconds with three decimal places.
    fileprivate var milliseconds: Double { (self / .microseconds(1)).rounded() / 1000 }
}
