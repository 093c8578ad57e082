import Foundation
import HTTPServer
import JSON
import NIOCore
import NIOHTTP1
import Observability
import ServiceRuntime

/// The admin listener: `/healthz`, `/readyz`, `/metrics`, `/version`, `/loglevel`, and `/status` for people.
struct AdminEndpoints: Sendable {
    let status: GatewayStatus
    let metrics: GatewayMetrics
    let build: BuildVersion
    let logLevel: AdminLogLevel
    let history: StatusHistory

    func handler() -> AsyncHTTPHandler {
        AsyncHTTPHandler(bodyLimit: 4096) { request, responder in
            if let file = PageFiles.embedded.status[String(request.path)] {
                let page = PageAnswer(file, request.head)
                let body = page.body ?? ByteBuffer()
                return await responder.respond(status: page.status, headers: page.headers, body: body)
            }
            if request.path == AdminLogLevel.path {
                let body = String(buffer: request.body)
                let reply = logLevel.answer(request.head.method.rawValue, body: body)
                var headers: HTTPHeaders = ["Content-Type": "application/json", "Cache-Control": "no-store"]
                if let allow = reply.allow { headers.add(name: "Allow", value: allow) }
                let status = HTTPResponseStatus(statusCode: reply.status)
                return await responder.respond(
                    status: status, headers: headers, body: ByteBuffer(bytes: reply.body.serialized))
            }
            let (status, type, body) = answer(request.head.method, request.path)
            var headers: HTTPHeaders = ["Content-Type": type, "Cache-Control": "no-store"]
            if status == .methodNotAllowed { headers.add(name: "Allow", value: "GET, HEAD") }
            await responder.respond(status: status, headers: headers, body: ByteBuffer(bytes: body))
        }
    }

    func answer(_ method: HTTPMethod, _ path: Substring) -> (HTTPResponseStatus, type: String, body: [UInt8]) {
        let json = "application/json"
        guard method == .GET || method == .HEAD else {
            return (.methodNotAllowed, json, JSONValue.object(["error": "Method not allowed"]).serialized)
        }
        switch path {
        case "/healthz":
            return (.ok, json, JSONValue.object(["status": "ok"]).serialized)
        case "/readyz":
            let readiness = status.readiness
            return (readiness.isReady ? .ok : .serviceUnavailable, json, readiness.document.serialized)
        case "/metrics":
            return (.ok, "text/plain; version=0.0.4; charset=utf-8", Array(metrics.registry.exposition().utf8))
        case "/status/history":
            return (.ok, json, history.document(now: Date()).serialized)
        case "/version":
            let version: JSONObject = [
                "name": .string(GatewayVersion.name), "version": .string(BuildVersion.number),
                "commit": .string(build.commit),
            ]
            return (.ok, json, JSONValue.object(version).serialized)
        default:
            return (.notFound, json, JSONValue.object(["error": "Not found"]).serialized)
        }
    }
}
