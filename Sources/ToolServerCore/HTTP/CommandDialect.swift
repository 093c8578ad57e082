import Identity
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import NIOHTTP1

/// Tool calls in the two plain dialects: the old server's commands, and one path for each tool.
struct CommandDialect: Sendable {
    let server: MCPServer
    let challenge: BearerChallenge
    let logger: Logger

    /// A command in the old dialect.
    struct Command: Hashable, Sendable {
        let name: String
        let arguments: JSONObject
    }

    /// Error in a body that has the form of a command.
    enum Malformed: Error, Hashable {
        case arguments
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

    /// Runs a command and answers as the old server did: the tool's own errors with 200. Nil: the body is not a
    /// command.
    func run(_ body: JSONObject, principal: Principal?, traceparent: String?) async -> HTTPReply? {
        let command: Command
        do {
            guard let found = try Self.command(in: body) else { return nil }
            command = found
        } catch {
            return .error("arguments: expected an object", status: .badRequest)
        }
        switch await call(
            command.name, command.arguments, principal: principal, traceparent: traceparent, noun: "command")
        {
        case .failure(let refusal): return refusal.reply
        case .success(let result):
            if result.isError { return .error(result.errorText, status: .ok) }
            let structured = result.structuredContent
            return .json(["results": structured?["results"] ?? structured ?? .string(result.text)])
        }
    }

    /// Runs the tool that the path names, with the body as its arguments, and answers with its structured result.
    func run(
        tool: String, body: [UInt8], principal: Principal?, traceparent: String?
    ) async -> HTTPReply {
        let arguments: JSONObject
        if body.isEmpty {
            arguments = [:]
        } else {
            guard let value = try? JSONValue(parsing: body) else { return .error("Invalid JSON", status: .badRequest) }
            guard let object = value.object else { return .error("Expected an object", status: .badRequest) }
            arguments = object
        }
        switch await call(tool, arguments, principal: principal, traceparent: traceparent, noun: "tool") {
        case .failure(let refusal): return refusal.reply
        case .success(let result):
            if result.isError {
                if result.status == 503 { return .rejected(503, nil, result.errorText) }
                return .error(result.errorText, status: .badRequest)
            }
            return .json(result.structuredContent ?? ["result": .string(result.text)])
        }
    }

    private struct Refusal: Error {
        let reply: HTTPReply
    }

    private func call(
        _ name: String, _ arguments: JSONObject, principal: Principal?, traceparent: String?, noun: String
    ) async -> Result<CallToolResult, Refusal> {
        do {
            return .success(
                try await server.call(
                    tool: name, arguments: arguments, principal: principal, traceparent: traceparent))
        } catch let refusal as ToolCallRefusal {
            switch refusal {
            case .unknownTool(let name):
                return .failure(Refusal(reply: .error("Unknown \(noun): \(name.printable)", status: .notFound)))
            case .invalidArguments(let violations):
                return .failure(Refusal(reply: .error(violations.joined(separator: "; "), status: .badRequest)))
            }
        } catch let refusal as AccessRefusal {
            guard let header = challenge.header(for: refusal) else {
                return .success(.error(refusal.description, status: refusal.status))
            }
            return .failure(Refusal(reply: .rejected(refusal.status, header, refusal.description)))
        } catch let error as JSONRPCError {
            return .failure(Refusal(reply: .error(error.message, status: .badRequest)))
        } catch {
            // This includes cancellation, where the client has left and the response is not read.
            logger.error("tool call failed", metadata: ["tool": "\(name.printable)", "error": "\(error)"])
            return .failure(Refusal(reply: .error("Internal error", status: .internalServerError)))
        }
    }
}

extension CallToolResult {
    /// Text of a tool error: the first text, else the structured error.
    var errorText: String {
        content.first?.text ?? structuredContent?["error"]?.string ?? "The tool failed"
    }
}
