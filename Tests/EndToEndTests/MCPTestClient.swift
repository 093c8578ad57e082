import JSON
import TestSupport
import Testing

/// Speaks MCP by hand, as a client that knows nothing of this project.
struct MCPTestClient {
    static let accept: HTTPTestClient.Headers = [("Accept", "application/json, text/event-stream")]
    static let modernVersion = "2026-07-28"
    static let legacyVersion = "2025-11-25"

    let http: HTTPTestClient
    var headers: HTTPTestClient.Headers = []

    init(_ http: HTTPTestClient, headers: HTTPTestClient.Headers = []) {
        self.http = http
        self.headers = headers
    }

    /// Opens a legacy session and keeps its headers for the calls that follow.
    mutating func initialize() async throws -> JSONValue {
        let answer = try await post(
            "initialize", id: 1,
            params: [
                "protocolVersion": .string(Self.legacyVersion), "capabilities": [:],
                "clientInfo": ["name": "end-to-end", "version": "1"],
            ])
        #expect(answer.status == 200)
        let session = try #require(answer.header("Mcp-Session-Id"))
        headers += [("Mcp-Session-Id", session), ("MCP-Protocol-Version", Self.legacyVersion)]
        let accepted = try await http.post(
            "/mcp/", json: ["jsonrpc": "2.0", "method": "notifications/initialized"], headers: headers + Self.accept)
        #expect(accepted.status == 202)
        #expect(accepted.body.isEmpty)
        return try #require(try Self.message(in: answer)["result"])
    }

    /// A legacy request.
    func post(_ method: String, id: JSONValue, params: JSONValue) async throws -> HTTPTestResponse {
        try await http.post(
            "/mcp/", json: ["jsonrpc": "2.0", "id": id, "method": .string(method), "params": params],
            headers: headers + Self.accept)
    }

    /// The result of a legacy request.
    func result(_ method: String, id: JSONValue, params: JSONValue = [:]) async throws -> JSONValue {
        let answer = try await post(method, id: id, params: params)
        #expect(answer.status == 200)
        let message = try Self.message(in: answer)
        #expect(message["id"] == id)
        return try #require(message["result"], "\(answer.text)")
    }

    /// The result of a modern request.
    func modernResult(_ method: String, id: JSONValue, name: String? = nil, params: JSONObject = [:]) async throws
        -> JSONValue
    {
        var params = params
        params["_meta"] = [
            "io.modelcontextprotocol/protocolVersion": .string(Self.modernVersion),
            "io.modelcontextprotocol/clientCapabilities": [:],
            "io.modelcontextprotocol/clientInfo": ["name": "end-to-end", "version": "1"],
        ]
        var own: HTTPTestClient.Headers = [("MCP-Protocol-Version", Self.modernVersion), ("Mcp-Method", method)]
        if let name { own.append(("Mcp-Name", name)) }
        let answer = try await http.post(
            "/mcp/", json: ["jsonrpc": "2.0", "id": id, "method": .string(method), "params": .object(params)],
            headers: headers + own + Self.accept)
        #expect(answer.status == 200)
        let message = try Self.message(in: answer)
        #expect(message["id"] == id)
        return try #require(message["result"], "\(answer.text)")
    }

    /// The response message of a body that is JSON or a stream of events.
    static func message(in answer: HTTPTestResponse) throws -> JSONValue {
        guard answer.mediaType == "text/event-stream" else { return try answer.json }
        let messages = try ServerSentEvents(answer.text).map { try JSONValue(parsing: Array($0.data.utf8)) }
        return try #require(messages.last { $0["id"] != nil && $0["method"] == nil }, "\(answer.text)")
    }
}
