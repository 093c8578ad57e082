import HTTPServer
import JSON
import Logging
import NIOHTTP1
import Observability
import ServiceRuntime
import Store

/// `/healthz`, `/readyz`, `/metrics`, `/version` and `/loglevel` on the admin port.
struct AdminRoutes: Sendable {
    let store: any Store
    let foreign: (any ForeignDatabase)?
    let metrics: ToolServerMetrics
    let logger: Logger
    let build: BuildVersion
    let state: ProcessState
    let logLevel: AdminLogLevel

    func respond(_ request: AsyncHTTPRequest, _ responder: AsyncHTTPResponder) async {
        let reply = await reply(to: request)
        await responder.respond(status: reply.status, headers: reply.headers, body: reply.body)
    }

    private func reply(to request: AsyncHTTPRequest) async -> HTTPReply {
        if request.path == AdminLogLevel.path {
            let answer = logLevel.answer(request.head.method.rawValue, body: String(buffer: request.body))
            let headers: HTTPHeaders = answer.allow.map { ["Allow": $0] } ?? [:]
            return .json(answer.body, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
        }
        guard request.head.method == .GET || request.head.method == .HEAD else {
            return .methodNotAllowed(allow: "GET, HEAD")
        }
        switch request.path {
        case "/healthz": return .json(["status": "live"])
        case "/version":
            return .json([
                "name": .string(ToolServer.implementation.name), "version": .string(BuildVersion.number),
                "commit": .string(build.commit),
            ])
        case "/readyz" where state.isDraining.load(ordering: .relaxed):
            return .json(["status": "not ready", "reasons": ["draining"]], status: .serviceUnavailable)
        case "/readyz":
            let reasons = await reasons()
            return reasons.isEmpty
                ? .json(["status": "ready"])
                : .json(
                    ["status": "not ready", "reasons": .array(reasons.map { .string($0) })],
                    status: .serviceUnavailable)
        case "/metrics":
            return .text(metrics.registry.exposition(), type: "text/plain; version=0.0.4; charset=utf-8")
        default: return .notFound
        }
    }

    /// What is missing, each by the key that configures it.
    private func reasons() async -> [String] {
        var checks: [(name: String, check: @Sendable () async throws -> Void)] = []
        if let foreign { checks.append(("database", foreign.checkHealth)) }
        checks.append((foreign == nil ? "database" : "stateDatabase", store.checkHealth))
        var reasons: [String] = []
        for (name, check) in checks {
            do {
                try await check()
            } catch {
                logger.warning("not ready", metadata: ["dependency": "\(name)", "error": "\(error)"])
                reasons.append("\(name): \((error as? StoreError)?.kind.rawValue ?? "unavailable")")
            }
        }
        return reasons
    }
}
