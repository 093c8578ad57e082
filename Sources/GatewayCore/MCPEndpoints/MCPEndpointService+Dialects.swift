import Foundation
import HTTPServer
import JSON
import MCP
import MCPAggregator
import MCPServer
import MCPServerHTTP
import NIOCore

extension MCPEndpointService {
    /// Sender of a request.
    struct Asker: Sendable {
        let principal: Principal?
        /// The caller, or the call that was begun for the request.
        let attachment: any Sendable
        /// Time at which that call was begun.
        var started: ContinuousClock.Instant?
    }

    /// Returns whether a path is the endpoint's own.
    func isEndpoint(_ path: Substring) -> Bool {
        let rest = rest(of: path)
        return rest.isEmpty || rest == "/"
    }

    /// Answers a request to the endpoint or to a path below it.
    ///
    /// - Parameter executor: Executor of the task in which this runs.
    func respond(
        _ request: AsyncHTTPRequest, on executor: EventLoopExecutor, _ asker: Asker
    ) async -> MCPHTTPResponse {
        let path = String(request.path)
        var mapped = MCPHTTPRequest(
            method: request.head.method.rawValue, path: path,
            headers: MCPHTTPHeaders(request.head.headers.map { (name: $0.name, value: $0.value) }),
            body: Array(request.body.readableBytesView), principal: asker.principal, attachment: asker.attachment)
        mapped.reservation = request.reservation
        mapped.started = asker.started
        mapped.executor = executor
        if isEndpoint(path[...]) {
            return await streamable.handle(mapped) { [dialect] request, body in
                await dialect.run(body, CommandDialect.Caller(request))
            }
        }
        let rest = rest(of: path[...])
        if rest == "/session/new" { return newSession(mapped) }
        guard let tool = Self.tool(rest) else { return .plain(error: "Not found", status: 404) }
        guard mapped.method == "POST" else { return Self.methodNotAllowed("POST") }
        return await dialect.run(tool: tool, body: mapped.body, CommandDialect.Caller(mapped))
    }

    /// Returns the tool that a path below the endpoint names; empty for the endpoint itself and other paths.
    func tools(inPath path: Substring) -> [String] {
        let rest = rest(of: path)
        return rest == "/session/new" ? [] : Self.tool(rest).map { [$0] } ?? []
    }

    /// Returns the part of a path that comes after the endpoint's own.
    private func rest(of path: Substring) -> Substring {
        Substring(path.utf8.dropFirst(configuration.base.utf8.count))
    }

    private static func tool(_ rest: Substring) -> String? {
        let name = rest.dropFirst().hasSuffix("/") ? rest.dropFirst().dropLast() : rest.dropFirst()
        guard !name.isEmpty, !name.contains("/") else { return nil }
        return String(name).removingPercentEncoding.map { CombiningMarks.bounded($0) }
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
