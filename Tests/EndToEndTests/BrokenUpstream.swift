import JSON
import NIOCore
import TestSupport

/// A tool server in one of the states that the recording has. Sessions open and tools are listed as usual; the calls
/// go wrong. `down` is a port where nothing listens.
final class BrokenUpstream: Sendable {
    enum State: String, CaseIterable, Sendable {
        case down, close
        case status503 = "status_503"
        case status404 = "status_404"
        case notJSON = "not_json"
        case array
        case noResults = "no_results"
        case resultsNull = "results_null"
        case errorEmpty = "error_empty"
        case errorText = "error_text"
    }

    private let server: ScriptedHTTPServer

    init(_ state: State) async throws {
        server = try await ScriptedHTTPServer { Self.respond($0, state) }
        if state == .down { try await server.stopAndWait() }
    }

    var url: String { server.url + "/mcp/" }
    func stop() { server.stop() }

    private static func respond(_ request: ScriptedRequest, _ state: State) -> ScriptedResponse {
        if state == .close { return .closeBeforeResponse }
        guard let message = ScriptedMCPMessage(request) else { return .empty(405) }
        guard let id = message.id else { return .empty(202) }
        switch message.method {
        case "initialize": return message.opened()
        case "tools/list": return message.result(["tools": tools])
        case "tools/call": break
        case "ping": return message.result([:])
        // A server of the era of `initialize` knows no other.
        default:
            return .json(
                JSONValue.object([
                    "jsonrpc": "2.0", "id": id, "error": ["code": -32601, "message": "Method not found"],
                ]).text)
        }
        switch state {
        case .down, .close: return .closeBeforeResponse
        case .status503: return .empty(503)
        case .status404: return .empty(404)
        case .notJSON: return .json("<html><body>It works!</body></html>")
        case .array: return .json("[]")
        case .noResults: return .json(JSONValue.object(["jsonrpc": "2.0", "id": id]).text)
        case .resultsNull: return message.result(["content": [], "structuredContent": ["result": .null]])
        case .errorEmpty: return message.result(["content": [["type": "text", "text": ""]], "isError": true])
        case .errorText:
            return message.result(["content": [["type": "text", "text": "quota & <b>limit</b>"]], "isError": true])
        }
    }

    private static let tools: JSONValue = .array(
        [
            ("search_projects", ["query"]), ("search_any", ["model", "query"]), ("get_user_info", []),
            ("ai_prompt", ["prompt"]), ("chat", ["message"]), ("chat_history", []),
        ].map { (name: String, arguments: [String]) -> JSONValue in
            [
                "name": .string(name),
                "inputSchema": [
                    "type": "object", "properties": .object(JSONObject(arguments.map { ($0, ["type": "string"]) })),
                    "required": .array(arguments.map { .string($0) }),
                ],
            ]
        })
}
