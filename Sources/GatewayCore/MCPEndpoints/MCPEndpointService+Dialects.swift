import Foundation
import HTTPServer
import JSON
import MCP
import MCPAggregator
import MCPServer
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
            return await streamable.handle(mapped) { [self] request, object in
                await command(object, request)
            }
        }
        if rest == "/session/new" { return newSession(mapped) }
        return await tool(String(rest.dropFirst()), mapped)
    }

    /// Creates a session of the latest legacy revision and returns its id.
    private func newSession(_ request: MCPHTTPRequest) -> MCPHTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else { return Self.methodNotAllowed("GET, HEAD") }
        guard let id = streamable.openSession(principal: request.principal) else {
            return Self.error("Too many sessions", status: 503)
        }
        return .whole(status: 200, headers: [("Mcp-Session-Id", id), ("Cache-Control", "no-store")], body: [])
    }

    /// Answers `{"command": C, "arguments": {…}}` or `{"name": C, "arguments": {…} or a JSON string}` as the old server
    /// did: a tool's own error is a 200. Nil for any other body.
    private func command(_ body: JSONObject, _ request: MCPHTTPRequest) async -> MCPHTTPResponse? {
        guard body["method"] == nil, let name = body["command"]?.string ?? body["name"]?.string else { return nil }
        let arguments: JSONObject
        switch body["arguments"] {
        case nil, .null?: arguments = [:]
        case .object(let object)?: arguments = object
        case .string(let text)?:
            guard let object = text.allSatisfy(\.isWhitespace) ? [:] : (try? JSONValue(parsing: text))?.object else {
                return Self.error("arguments: expected an object", status: 400)
            }
            arguments = object
        default: return Self.error("arguments: expected an object", status: 400)
        }
        switch await call(name, arguments, request, noun: "command") {
        case .failure(let refusal): return refusal.response
        case .success(let result):
            if result.isError { return Self.error(result.text, status: 200) }
            let structured = result.structuredContent
            return Self.json([
                "results": structured?["results"] ?? structured?["result"] ?? structured ?? .string(result.text)
            ])
        }
    }

    /// Answers `POST PATH/TOOL`, whose body is the arguments, with the tool's structured result.
    private func tool(_ name: String, _ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        guard !name.isEmpty, !name.contains("/"), let name = name.removingPercentEncoding else {
            return Self.error("Not found", status: 404)
        }
        guard request.method == "POST" else { return Self.methodNotAllowed("POST") }
        var arguments: JSONObject = [:]
        if !request.body.isEmpty {
            guard let value = try? JSONValue(parsing: request.body) else {
                return Self.error("Invalid JSON", status: 400)
            }
            guard let object = value.object else { return Self.error("Expected an object", status: 400) }
            arguments = object
        }
        switch await call(name, arguments, request, noun: "tool") {
        case .failure(let refusal): return refusal.response
        case .success(let result):
            if result.isError { return Self.error(result.text, status: result.status == 503 ? 503 : 400) }
            return Self.json(result.structuredContent ?? ["result": .string(result.text)])
        }
    }

    // MARK: Calling

    private struct Refusal: Error {
        let response: MCPHTTPResponse
    }

    private func call(
        _ name: String, _ arguments: JSONObject, _ request: MCPHTTPRequest, noun: String
    ) async -> Result<CallToolResult, Refusal> {
        do {
            return .success(
                try await server.call(
                    tool: name, arguments: arguments, principal: request.principal, attachment: request.attachment,
                    traceparent: request.headers["traceparent"]))
        } catch let error as JSONRPCError {
            if error.message == "Unknown tool: \(name)" {
                return .failure(Refusal(response: Self.error("Unknown \(noun): \(name.prefix(200))", status: 404)))
            }
            let isUpstream = error.data?["label"]?.string != nil
            return .failure(Refusal(response: Self.error(error.message, status: isUpstream ? 502 : 400)))
        } catch {
            // This includes cancellation, where the client has left and the response is not read.
            return .failure(Refusal(response: Self.error("Internal error", status: 500)))
        }
    }

    private static func json(_ value: JSONValue, status: Int = 200) -> MCPHTTPResponse {
        .whole(status: status, headers: [("Content-Type", "application/json")], body: value.serialized)
    }

    private static func error(_ text: String, status: Int) -> MCPHTTPResponse {
        json(["error": .string(text)], status: status)
    }

    private static func methodNotAllowed(_ allow: String) -> MCPHTTPResponse {
        .whole(status: 405, headers: [("Allow", allow), ("Content-Type", "application/json")], body: [])
    }
}
