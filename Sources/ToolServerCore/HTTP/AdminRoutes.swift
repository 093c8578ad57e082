import HTTPServer
import JSON
import Logging
import NIOHTTP1
import Observability

/// `/healthz`, `/readyz` and `/metrics` on the admin port.
struct AdminRoutes: Sendable {
    let store: any Store
    let foreign: (any ForeignDatabase)?
    let metrics: ToolServerMetrics
    let logger: Logger

    func respond(_ request: AsyncHTTPRequest, _ responder: AsyncHTTPResponder) async {
        let reply = await reply(to: request)
        await responder.respond(status: reply.status, headers: reply.headers, body: reply.body)
    }

    private func reply(to request: AsyncHTTPRequest) async -> HTTPReply {
        guard request.head.method == .GET || request.head.method == .HEAD else {
            return .methodNotAllowed(allow: "GET, HEAD")
        }
        switch request.path {
        case "/healthz": return .json(["status": "live"])
        case "/readyz":
            do {
                try await store.checkHealth()
                try await foreign?.checkHealth()
                return .json(["status": "ready"])
            } catch {
                logger.warning("not ready", metadata: ["error": "\(error)"])
                return .json(
                    ["status": "not ready", "reasons": [.string("database: \(Self.reason(error))")]],
                    status: .serviceUnavailable)
            }
        case "/metrics":
            return .text(metrics.registry.exposition(), type: "text/plain; version=0.0.4; charset=utf-8")
        default: return .notFound
        }
    }

    private static func reason(_ error: any Error) -> String {
        (error as? StoreError)?.kind.rawValue ?? "unavailable"
    }
}
