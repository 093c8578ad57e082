import JSON
import MCP
import MCPServer
import Synchronization

/// Tools of the server for an agent loop: those that the caller sees, with the caller's rights.
final class AgentTools: Sendable {
    // The server's tools own the assistant, and the assistant this object: it is only used in calls that the server
    // runs.
    private unowned let server: MCPServer
    private let excluded: Set<String>
    /// Descriptions of tools for the model, the same for every caller.
    private let descriptions = Mutex<[String: (tool: ToolDefinition, json: JSONValue)]>([:])

    /// Creates the tools of a server, without the excluded ones.
    init(server: MCPServer, excluded: Set<String>) {
        self.server = server
        self.excluded = excluded
    }

    /// A tool that is offered to the model.
    struct Offer: Sendable {
        let name: String
        /// True for a tool that changes nothing.
        let isReadOnly: Bool
        /// Description in the form of the chat-completions protocol.
        let description: JSONValue
    }

    /// Returns the tools that are offered to the model for a caller.
    func offers(to context: ToolContext) -> [Offer] {
        server.toolDefinitions(for: context.principal, in: context.version).compactMap { tool in
            guard !excluded.contains(tool.name), Self.isNameable(tool.name) else { return nil }
            return Offer(
                name: tool.name, isReadOnly: tool.annotations?.readOnlyHint == true, description: description(of: tool))
        }
    }

    /// Calls a tool and returns the result as text for the model; also errors, so that the model can correct itself.
    /// - Parameter confirmation: Idempotency key of a call that the user has confirmed; nil for any other call.
    /// - Throws: `CancellationError` when the caller has left.
    func call(
        _ name: String, _ arguments: JSONObject, within context: ToolContext, confirmation: String? = nil
    ) async throws -> Outcome {
        do {
            let result = try await server.call(
                tool: name, arguments: arguments, within: context, confirmation: confirmation)
            let value = result.structuredContent ?? .string(result.text)
            return result.isError ? .failed(result.text) : .done(value)
        } catch let refusal as ToolCallError {
            return .failed("\(refusal)")
        } catch let refusal as AccessError {
            return .failed("\(refusal)")
        } catch let error as JSONRPCError {
            return .failed(error.message)
        } catch {
            try Task.checkCancellation()
            return .failed("Internal error")
        }
    }

    /// Outcome of a call.
    enum Outcome: Sendable {
        case done(JSONValue)
        case failed(String)
    }

    private func description(of tool: ToolDefinition) -> JSONValue {
        descriptions.withLock { descriptions in
            if let known = descriptions[tool.name], known.tool == tool { return known.json }
            let json = Self.json(tool)
            descriptions[tool.name] = (tool, json)
            return json
        }
    }

    private static func json(_ tool: ToolDefinition) -> JSONValue {
        var function: JSONObject = ["name": .string(tool.name)]
        if let description = tool.description { function["description"] = .string(description) }
        function["parameters"] = tool.inputSchema
        return ["type": "function", "function": .object(function)]
    }

    /// Returns whether the protocol allows a name; it allows fewer than MCP.
    private static func isNameable(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
    }
}
