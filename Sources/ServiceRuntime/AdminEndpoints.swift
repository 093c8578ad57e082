package import HTTPServer
package import HTTPSyntax
package import JSON
package import NIOCore
package import NIOHTTP1
package import Observability
package import ProcessMemory

/// Admin listener of both processes: `/healthz`, `/readyz`, `/metrics`, `/version`, `/status/memory` and `/loglevel`, and
/// the paths that a process adds.
package struct AdminEndpoints: Sendable {
    /// A complete response.
    package struct Answer: Sendable {
        /// HTTP status.
        package let status: HTTPResponseStatus
        /// Headers of the response.
        package let headers: HTTPHeaders
        package let body: ByteBuffer

        /// Creates an answer.
        package init(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer) {
            self.status = status
            self.headers = headers
            self.body = body
        }

        /// Creates a JSON response.
        ///
        /// - Parameter allow: Allowed methods, for 405.
        package init(_ json: JSONValue, status: HTTPResponseStatus = .ok, allow: String? = nil) {
            var headers: HTTPHeaders = [
                "Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
            ]
            if let allow { headers.add(name: "Allow", value: allow) }
            self.init(status: status, headers: headers, body: ByteBuffer(bytes: json.serialized))
        }
    }

    private let name: String
    private let build: BuildVersion
    private let metrics: MetricsRegistry
    private let memory: MemoryBudget
    private let logLevel: AdminLogLevel
    private let site: @Sendable () -> SiteRule?
    private let readiness: @Sendable () async -> (isReady: Bool, document: JSONValue)
    private let further: @Sendable (HTTPRequestHead) -> Answer?

    /// - Parameters:
    ///   - name: Name of the process in `/version`.
    ///   - memory: Budget of the process, for `/status/memory`.
    ///   - site: Returns the rule for accepting `Host` and `Origin`.
    ///   - readiness: Returns the body of `/readyz`, and whether its status is 200 or 503.
    ///   - further: Answers the paths that the process adds; nil for all others.
    package init(
        name: String, build: BuildVersion, metrics: MetricsRegistry, memory: MemoryBudget, logLevel: AdminLogLevel,
        site: @escaping @Sendable () -> SiteRule?,
        readiness: @escaping @Sendable () async -> (isReady: Bool, document: JSONValue),
        further: @escaping @Sendable (HTTPRequestHead) -> Answer? = { _ in nil }
    ) {
        self.name = name
        self.build = build
        self.metrics = metrics
        self.memory = memory
        self.logLevel = logLevel
        self.site = site
        self.readiness = readiness
        self.further = further
    }

    /// Returns a handler for the listener.
    package func handler() -> AsyncHTTPHandler {
        AsyncHTTPHandler(bodyLimit: 4096, site: site) { request, responder in
            let answer = await answer(request)
            await responder.respond(status: answer.status, headers: answer.headers, body: answer.body)
        }
    }

    private func answer(_ request: AsyncHTTPRequest) async -> Answer {
        if let answer = further(request.head) { return answer }
        let method = request.head.method
        if request.path == AdminLogLevel.path {
            let answer = logLevel.answer(method.rawValue, body: String(buffer: request.body))
            return Answer(answer.body, status: HTTPResponseStatus(statusCode: answer.status), allow: answer.allow)
        }
        guard ["/healthz", "/readyz", "/metrics", "/version", "/status/memory"].contains(request.path) else {
            return Answer(["error": "Not found"], status: .notFound)
        }
        guard method == .GET || method == .HEAD else {
            return Answer(["error": "Method not allowed"], status: .methodNotAllowed, allow: "GET, HEAD")
        }
        switch request.path {
        case "/healthz": return Answer(["status": "ok"])
        case "/status/memory": return Answer(memory.status)
        case "/readyz":
            let readiness = await readiness()
            return Answer(readiness.document, status: readiness.isReady ? .ok : .serviceUnavailable)
        case "/metrics":
            return Answer(
                status: .ok,
                headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"],
                body: ByteBuffer(string: metrics.exposition()))
        default:
            return Answer([
                "name": .string(name), "version": .string(BuildVersion.number), "commit": .string(build.commit),
            ])
        }
    }
}
