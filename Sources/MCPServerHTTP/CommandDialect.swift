package import JSON
import Logging
import MCP
package import MCPServer
import ProcessMemory

/// Tool calls in the two plain dialects: the old server's commands, and one path for each tool.
package struct CommandDialect: Sendable {
    private let server: MCPServer
    private let challenge: @Sendable (AccessError) -> String?

    /// A command in the old dialect.
    struct Command: Hashable, Sendable {
        let name: String
        let arguments: JSONObject
    }

    /// Error in a body that has the form of a command.
    enum Malformed: Error, Hashable {
        case arguments
    }

    /// Caller of a tool.
    package struct Caller: Sendable {
        /// Person or program that calls; nil: anonymous.
        package let principal: Principal?
        /// Data of the transport that the tool may want, such as what goes to other servers in the caller's name.
        package let attachment: (any Sendable)?
        /// W3C trace context.
        package let traceparent: String?

        /// Describes the caller of a request.
        package init(principal: Principal?, attachment: (any Sendable)? = nil, traceparent: String?) {
            self.principal = principal
            self.attachment = attachment
            self.traceparent = traceparent
        }

        /// The caller of a request to an MCP endpoint.
        package init(_ request: MCPHTTPRequest) {
            self.init(
                principal: request.principal, attachment: request.attachment,
                traceparent: request.headers["traceparent"])
        }
    }

    /// Calls the tools of a server.
    ///
    /// - Parameter challenge: Returns the `WWW-Authenticate` for a refused call; nil: the refusal is the tool's own error.
    package init(server: MCPServer, challenge: @escaping @Sendable (AccessError) -> String? = { _ in nil }) {
        self.server = server
        self.challenge = challenge
    }

    /// Returns the command in `{"command": C, "arguments": {…}}`, or `{"name": C, "arguments": {…} or a JSON string}`;
    /// nil for anything else, JSON-RPC included.
    static func command(in body: JSONObject) throws(Malformed) -> Command? {
        guard body["jsonrpc"] == nil, body["method"] == nil,
            let name = body["command"]?.string ?? body["name"]?.string
        else { return nil }
        switch body["arguments"] {
        case nil, .null?: return Command(name: name, arguments: [:])
        case .object(let arguments)?: return Command(name: name, arguments: arguments)
        case .string(let text)?:
            if text.allSatisfy(\.isWhitespace) { return Command(name: name, arguments: [:]) }
            guard let arguments = (try? JSONValue(parsing: text))?.object else { throw .arguments }
            return Command(name: name, arguments: arguments)
        default: throw .arguments
        }
    }

    /// Runs a command and answers as the old server did: the tool's own errors with 200. Nil where the body is not a command.
    package func run(_ body: JSONObject, _ caller: Caller) async -> MCPHTTPResponse? {
        let command: Command
        do {
            guard let found = try Self.command(in: body) else { return nil }
            command = found
        } catch {
            return .plain(error: "arguments: expected an object", status: 400)
        }
        switch await call(command.name, command.arguments, caller, noun: "command") {
        case .failure(let refusal): return refusal.response
        case .success(let result):
            if result.isError { return .plain(error: result.errorText, status: 200) }
            let structured = result.structuredContent
            // The SDKs' servers wrap a value that is not an object as `result`.
            return .plain([
                "results": structured?["results"] ?? structured?["result"] ?? structured ?? .string(result.text)
            ])
        }
    }

    /// Runs the tool that a path names with the body as its arguments; answers with its structured result.
    package func run(tool: String, body: [UInt8], _ caller: Caller) async -> MCPHTTPResponse {
        var reservation: MemoryReservation?
        defer { withExtendedLifetime(reservation) {} }
        let arguments: JSONObject
        if body.isEmpty {
            arguments = [:]
        } else {
            // The text itself is counted where the body was read.
            let values = JSONValue.footprint(of: body) - body.count
            guard server.configuration.memory.hold(values, in: &reservation) else {
                return .plain(error: "Overloaded", status: 503)
            }
            guard let value = try? JSONValue(parsing: body) else { return .plain(error: "Invalid JSON", status: 400) }
            guard let object = value.object else { return .plain(error: "Expected an object", status: 400) }
            arguments = object
        }
        switch await call(tool, arguments, caller, noun: "tool") {
        case .failure(let refusal): return refusal.response
        case .success(let result):
            if result.isError { return .plain(error: result.errorText, status: result.status == 503 ? 503 : 400) }
            return .plain(result.structuredContent ?? ["result": .string(result.text)])
        }
    }

    private struct ErrorResponse: Error {
        let response: MCPHTTPResponse
    }

    private func call(
        _ name: String, _ arguments: JSONObject, _ caller: Caller, noun: String
    ) async -> Result<CallToolResult, ErrorResponse> {
        do {
            return .success(
                try await server.call(
                    tool: name, arguments: arguments, principal: caller.principal, attachment: caller.attachment,
                    traceparent: caller.traceparent))
        } catch let refusal as ToolCallError {
            switch refusal {
            case .unknownTool(let name):
                return .failure(
                    ErrorResponse(response: .plain(error: "Unknown \(noun): \(name.printable)", status: 404)))
            case .invalidArguments(let violations):
                return .failure(ErrorResponse(response: .plain(error: violations.joined(separator: "; "), status: 400)))
            }
        } catch let refusal as AccessError {
            guard let header = challenge(refusal) else {
                return .success(.error(refusal.description, status: refusal.status))
            }
            let response = MCPHTTPResponse.plain(error: refusal.description, status: refusal.status)
            return .failure(ErrorResponse(response: response.adding(("WWW-Authenticate", header))))
        } catch let error as JSONRPCError {
            // The failure of a server behind this one.
            let isUpstream = error.data?["upstream"]?.string != nil
            return .failure(ErrorResponse(response: .plain(error: error.message, status: isUpstream ? 502 : 400)))
        } catch {
            // Cancellation included: no client reads that answer.
            server.logger.error("tool call failed", metadata: ["tool": "\(name.printable)", "error": "\(error)"])
            return .failure(ErrorResponse(response: .plain(error: "Internal error", status: 500)))
        }
    }
}

extension CallToolResult {
    /// Text of the failure: the first text, else the structured error.
    fileprivate var errorText: String {
        content.first?.text ?? structuredContent?["error"]?.string ?? "The tool failed"
    }
}

extension MCPHTTPResponse {
    /// A JSON document outside of MCP; 503 says when to try again.
    package static func plain(
        _ value: JSONValue, status: Int = 200, headers: [(String, String)] = []
    ) -> MCPHTTPResponse {
        var fields = [
            ("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
        ]
        if status == 503 { fields.append(("Retry-After", "2")) }
        return .whole(status: status, headers: fields + headers, body: value.serialized)
    }

    /// `{"error": TEXT}`.
    package static func plain(
        error text: String, status: Int, headers: [(String, String)] = []
    ) -> MCPHTTPResponse {
        plain(["error": .string(text)], status: status, headers: headers)
    }

    /// Returns the response with one more header field.
    package func adding(_ header: (String, String)) -> MCPHTTPResponse {
        switch self {
        case .whole(let status, let headers, let body):
            .whole(status: status, headers: headers + [header], body: body)
        case .stream(let status, let headers, let body):
            .stream(status: status, headers: headers + [header], body: body)
        }
    }
}
