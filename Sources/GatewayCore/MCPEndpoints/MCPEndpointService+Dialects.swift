import Foundation
import HTTPServer
import JSON
import MCP
import MCPAggregator
import MCPServer
import MCPServerHTTP
import NIOCore

extension MCPEndpointService {
    /// Answers a request to the endpoint or to a path below it.
    func respond(_ request: AsyncHTTPRequest, caller: EndpointCaller, principal: Principal?) async -> MCPHTTPResponse {
        let path = String(request.path)
        let mapped = MCPHTTPRequest(
            method: request.head.method.rawValue, path: path,
            headers: MCPHTTPHeaders(request.head.headers.map { (name: $0.name, value: $0.value) }),
            body: Array(request.body.readableBytesView), principal: principal, attachment: caller)
        let rest = path.dropFirst(configuration.base.count)
        if rest.isEmpty || rest == "/" {
            return await streamable.handle(mapped) { [dialect] request, body in
                await dialect.run(body, CommandDialect.Caller(request))
            }
        }
        if rest == "/session/new" { return newSession(mapped) }
        let name = rest.dropFirst().hasSuffix("/") ? rest.dropFirst().dropLast() : rest.dropFirst()
        guard !name.isEmpty, !name.contains("/"), let tool = String(name).removingPercentEncoding else {
            return .plain(error: "Not found", status: 404)
        }
        guard mapped.method == "POST" else { return Self.methodNotAllowed("POST") }
        return await dialect.run(tool: tool, body: mapped.body, CommandDialect.Caller(mapped))
    }

    /// Creates a session of the latest legacy revision and returns its id.
    private func newSession(_ request: MCPHTTPRequest) -> MCPHTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else { return Self.methodNotAllowed("GET, HEAD") }
        guard let id = streamable.openSession(principal: request.principal) else {
            return .plain(error: "Every session has a call under way", status: 503)
        }
        return .whole(status: 200, headers: [("Mcp-Session-Id", id), ("Cache-Control", "no-store")], body: [])
    }

    private static func methodNotAllowed(_ allow: String) -> MCPHTTPResponse {
        .plain(error: "Method not allowed", status: 405, headers: [("Allow", allow)])
    }
}
