import HTTPServer
import Logging
import NIOCore
import NIOHTTP1
import Observability

/// Gives each request its identifier, runs it as a task, and logs and counts its end.
final class ObservedRequestHandler: HTTPRequestHandler {
    typealias Respond = @Sendable (AsyncHTTPRequest, AsyncHTTPResponder, _ requestID: String) async -> Void

    private let bodyLimit: Int
    private let metrics: ToolServerMetrics
    private let logger: Logger
    private let respond: Respond

    init(bodyLimit: Int, metrics: ToolServerMetrics, logger: Logger, respond: @escaping Respond) {
        self.bodyLimit = bodyLimit
        self.metrics = metrics
        self.logger = logger
        self.respond = respond
    }

    func handle(_ exchange: HTTPExchange) {
        let requestID = RequestIdentifier.accept(exchange.head.headers.first(name: "X-Request-Id"))
        let respond = respond
        handler(requestID) { await respond($0, $1, requestID) }.handle(exchange)
    }

    func reject(_ failure: HTTPFailure, _ exchange: HTTPExchange) {
        handler(RequestIdentifier.new()) { _, _ in }.reject(failure, exchange)
    }

    private func handler(
        _ requestID: String, _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void
    ) -> AsyncHTTPHandler {
        let metrics = metrics
        let logger = logger
        return AsyncHTTPHandler(
            bodyLimit: bodyLimit,
            onFinish: { head, summary in
                let path = head.uri.prefix { $0 != "?" }
                let route = Route(path: path)
                metrics.requests.with(route.label, String(summary.status)).increment()
                metrics.requestDuration.with(route.label).observe(summary.duration)
                logger.info(
                    "request",
                    metadata: [
                        "request.id": "\(requestID)", "http.method": "\(head.method.rawValue)",
                        "http.path": "\(String(path).printable)", "http.status": "\(summary.status)",
                        "http.request_bytes": "\(summary.requestBytes)",
                        "http.response_bytes": "\(summary.responseBytes)",
                        "duration.ms": "\(summary.duration / .milliseconds(1))",
                    ])
            }, respond)
    }
}
