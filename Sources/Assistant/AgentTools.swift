import JSON
import MCP
import MCPServer
import Synchronization

/// The server's tools as an agent loop may use them: what the caller sees, with the caller's rights, and nothing else.
final class AgentTools: Sendable {
    // The server's tools hold the answers, and the answers this: only calls that the server runs come here.
    private unowned let server: MCPServer
    private let excluded: Set<String>
    /// Descriptions of tools for the model, the same for every caller who is offered them.
    private let descriptions = Mutex<[String: (tool: ToolDefinition, json: JSONValue)]>([:])

    /// Offers a server's tools, without the excluded ones.
    init(server: MCPServer, excluded: Set<String>) {
        self.server = server
        self.excluded = excluded
    }

    /// A tool that the model is offered.
    struct Offer: Sendable {
        let name: String
        /// True for a tool that changes nothing.
        let isReadOnly: Bool
        /// In the form of the chat-completions protocol.
        let description: JSONValue
    }

    /// Returns the tools that the model is offered for a caller.
    func offers(to context: ToolContext) -> [Offer] {
        server.toolDefinitions(for: context.principal, in: context.version).compactMap { tool in
            guard !excluded.contains(tool.name), Self.isNameable(tool.name) else { return nil }
            return Offer(
                name: tool.name, isReadOnly: tool.annotations?.readOnlyHint == true, description: description(of: tool))
        }
    }

    /// The text of what came of a call, for the model: failures too, so that it can do better.
    /// - Throws: `CancellationError` when the caller left.
    func call(_ name: String, _ arguments: JSONObject, within context: ToolContext) async throws -> Outcome {
        do {
            let result = try await server.call(tool: name, arguments: arguments, within: context)
            let value = result.structuredContent ?? .string(result.text)
            return result.isError ? .failed(result.text) : .done(value)
        } catch let refusal as ToolCallRefusal {
            return .failed("\(refusal)")
        } catch let refusal as AccessRefusal {
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

    /// The protocol knows fewer names than MCP.
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
