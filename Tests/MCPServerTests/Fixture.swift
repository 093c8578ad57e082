import Foundation
import JSON
import Logging
import MCP
import Testing

@testable import MCPServer

struct Echo: TypedTool {
    struct Arguments: Codable, Sendable { var message: String }
    struct Output: Codable, Sendable {
        var echo: String
        enum CodingKeys: String, CodingKey { case echo = "Echo" }
    }

    static let name = "echo"
    static let title = "Echo"
    static let description = "Says it again."
    static let annotations = ToolAnnotations(readOnlyHint: true)

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Output { Output(echo: arguments.message) }
}

/// A tool whose behaviour a test gives.
struct ScriptedTool: Tool {
    var definition: ToolDefinition
    var visible: @Sendable (Principal?) -> Bool = { _ in true }
    var body: @Sendable (JSONObject, ToolContext) async throws -> CallToolResult

    init(
        _ name: String, input: JSONValue = ToolDefinition.emptyInputSchema,
        visible: @escaping @Sendable (Principal?) -> Bool = { _ in true },
        body: @escaping @Sendable (JSONObject, ToolContext) async throws -> CallToolResult
    ) {
        definition = ToolDefinition(name: name, description: "Scripted: \(name)", inputSchema: input)
        self.visible = visible
        self.body = body
    }

    func isVisible(to principal: Principal?) -> Bool { visible(principal) }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        try await body(arguments, context)
    }
}

struct Greeting: PromptProvider {
    var definition: Prompt {
        Prompt(name: "greet", title: "Greet", arguments: [PromptArgument(name: "name", required: true)])
    }

    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
        GetPromptResult(messages: [PromptMessage(role: .user, content: .text("Greet \(arguments["name"] ?? "")"))])
    }
}

struct Documents: ResourceProvider {
    var count = 3
    var templates: [ResourceTemplate] { [ResourceTemplate(uriTemplate: "test://{id}", name: "document")] }

    func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage {
        let start = cursor.flatMap { Int($0) } ?? 0
        let page = (start..<min(start + 2, count)).map { Resource(uri: "test://\($0)", name: "Document \($0)") }
        return ResourcePage(page, next: start + 2 < count ? "\(start + 2)" : nil)
    }

    func read(_ uri: String, context: ToolContext) async throws -> ReadResourceResult? {
        guard uri.hasPrefix("test://"), let number = Int(uri.dropFirst(7)), number < count else { return nil }
        return ReadResourceResult(contents: [ResourceContents(uri: uri, mimeType: "text/plain", text: "Body \(number)")]
        )
    }
}

/// A server with an endpoint, driven without sockets.
struct Fixture {
    let server: MCPServer
    let http: StreamableHTTP

    init(
        configuration: StreamableHTTPConfiguration = StreamableHTTPConfiguration(tick: .zero),
        server serverConfiguration: MCPServerConfiguration = MCPServerConfiguration(checksResults: true),
        now: @escaping @Sendable () -> Date = { Date() }, tools: [any Tool] = []
    ) throws {
        var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        server = MCPServer(
            info: Implementation(name: "fixture", version: "1.0"), instructions: "Say hello.",
            configuration: serverConfiguration, logger: logger, now: now)
        try server.register(tool: Echo())
        for tool in tools { try server.register(tool: tool) }
        server.register(prompt: Greeting())
        server.register(resources: Documents())
        server.register { parameters, _ in
            guard parameters.argumentName == "name" else { return nil }
            return CompleteResult(values: ["alice", "bob"].filter { $0.hasPrefix(parameters.argumentValue) })
        }
        http = StreamableHTTP(server: server, configuration: configuration)
    }

    static let capabilities: JSONObject = ["sampling": [:], "elicitation": [:], "roots": [:]]

    func post(
        _ body: JSONValue, headers: MCPHTTPHeaders = [:], principal: Principal? = nil
    ) async -> MCPHTTPResponse {
        await post(bytes: body.serialized, headers: headers, principal: principal)
    }

    func post(bytes: [UInt8], headers: MCPHTTPHeaders = [:], principal: Principal? = nil) async -> MCPHTTPResponse {
        var headers = headers
        if headers["Accept"] == nil { headers["Accept"] = "application/json, text/event-stream" }
        headers["Content-Type"] = "application/json"
        return await http.handle(
            MCPHTTPRequest(method: "POST", headers: headers, body: bytes, principal: principal))
    }

    // MARK: 2026-07-28

    static func modernBody(
        _ method: String, _ params: JSONObject = [:], id: RequestID = 1, capabilities: JSONObject = [:],
        meta extra: JSONObject = [:]
    ) -> JSONValue {
        var params = params
        let meta: JSONObject = [
            MCPMeta.protocolVersion: "2026-07-28", MCPMeta.clientCapabilities: .object(capabilities),
        ]
        params["_meta"] = .object(meta.merging(extra))
        return JSONRPCRequest(id: id, method: method, params: params).json
    }

    static func modernHeaders(_ method: String, _ params: JSONObject = [:]) -> MCPHTTPHeaders {
        var headers: MCPHTTPHeaders = ["MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method]
        if let key = MCPMethod.nameParameter(of: method), let name = params[key]?.string {
            headers["Mcp-Name"] = MCPHeader.encodeValue(name)
        }
        return headers
    }

    func modern(
        _ method: String, _ params: JSONObject = [:], id: RequestID = 1, capabilities: JSONObject = [:],
        meta: JSONObject = [:], headers extra: [String: String] = [:], principal: Principal? = nil
    ) async throws -> Reply {
        var headers = Self.modernHeaders(method, params)
        for (name, value) in extra { headers[name] = value }
        let body = Self.modernBody(method, params, id: id, capabilities: capabilities, meta: meta)
        let reply = try await Reply(await post(body, headers: headers, principal: principal))
        try reply.check(method, .v2026_07_28)
        return reply
    }

    // MARK: Legacy

    struct LegacyClient {
        let fixture: Fixture
        let session: String
        let version: MCPVersion
        let principal: Principal?

        var headers: MCPHTTPHeaders { ["Mcp-Session-Id": session, "MCP-Protocol-Version": version.rawValue] }

        func start(_ method: String, _ params: JSONObject = [:], id: RequestID = 2) async -> MCPHTTPResponse {
            let body = JSONRPCRequest(id: id, method: method, params: params).json
            return await fixture.post(body, headers: headers, principal: principal)
        }

        func call(_ method: String, _ params: JSONObject = [:], id: RequestID = 2) async throws -> Reply {
            let reply = try await Reply(await start(method, params, id: id))
            try reply.check(method, version)
            return reply
        }

        func notify(_ method: String, _ params: JSONObject = [:]) async -> MCPHTTPResponse {
            let body = JSONRPCNotification(method: method, params: params).json
            return await fixture.post(body, headers: headers, principal: principal)
        }

        func respond(_ id: RequestID, _ result: JSONValue) async -> MCPHTTPResponse {
            await fixture.post(JSONRPCResponse(id: id, result: result).json, headers: headers, principal: principal)
        }

        func get(lastEventID: String? = nil, principal other: Principal? = nil) async -> MCPHTTPResponse {
            var headers = headers
            headers["Accept"] = "text/event-stream"
            headers["Last-Event-ID"] = lastEventID
            return await fixture.http.handle(
                MCPHTTPRequest(method: "GET", headers: headers, principal: other ?? principal))
        }

        func delete() async -> MCPHTTPResponse {
            await fixture.http.handle(MCPHTTPRequest(method: "DELETE", headers: headers, principal: principal))
        }
    }

    static func initializeBody(_ version: String, capabilities: JSONObject = capabilities) -> JSONValue {
        JSONRPCRequest(
            id: 1, method: "initialize",
            params: [
                "protocolVersion": .string(version), "capabilities": .object(capabilities),
                "clientInfo": ["name": "test", "version": "1"],
            ]
        ).json
    }

    func initialize(
        _ version: MCPVersion, capabilities: JSONObject = capabilities, principal: Principal? = nil
    ) async throws -> LegacyClient {
        let response = await post(
            Self.initializeBody(version.rawValue, capabilities: capabilities), principal: principal)
        let session = try #require(response.headers.first { $0.0 == "Mcp-Session-Id" }?.1)
        let reply = try await Reply(response)
        try reply.check("initialize", version)
        return LegacyClient(fixture: self, session: session, version: version, principal: principal)
    }
}

/// A response read to its end.
struct Reply {
    let status: Int
    let headers: [(String, String)]
    let isStream: Bool
    /// Every JSON-RPC message, in order.
    let messages: [JSONValue]
    let events: [ServerSentEvent]
    let body: [UInt8]

    init(_ response: MCPHTTPResponse) async throws {
        status = response.status
        headers = response.headers
        switch response {
        case .whole(_, _, let body):
            isStream = false
            events = []
            self.body = body
            messages = body.isEmpty ? [] : [try JSONValue(parsing: body)]
        case .stream(_, _, let stream):
            isStream = true
            var parser = SSEParser()
            var events: [ServerSentEvent] = []
            var body: [UInt8] = []
            while let chunk = await stream.next() {
                body += chunk
                events += try parser.feed(chunk)
            }
            self.events = events
            self.body = body
            messages = try events.filter { !$0.data.isEmpty }.map { try JSONValue(parsing: $0.data) }
        }
    }

    var last: JSONValue { messages.last ?? .null }
    var result: JSONValue { last["result"] ?? .null }
    var code: Int? { last["error"]?["code"]?.int }

    func check(_ method: String, _ version: MCPVersion) throws {
        for message in messages { try SchemaCheck.check(message, answering: method, version) }
    }
}

extension MCPResponseStream {
    /// Waits for the next bytes. `nil`: the stream has ended, or the task of the caller was cancelled.
    func next() async -> [UInt8]? {
        while !Task.isCancelled {
            switch take() {
            case .bytes(let bytes): return bytes
            case .end: return nil
            case .nothing:
                let ready = OneShot<Void>()
                whenReady { ready.set(()) }
                await withTaskCancellationHandler {
                    await ready.value()
                } onCancel: {
                    ready.set(())
                }
            }
        }
        return nil
    }
}

/// Takes messages from a stream one at a time.
final class StreamClient {
    private let stream: MCPResponseStream
    private var parser = SSEParser()
    private var pending: [ServerSentEvent] = []

    init(_ response: MCPHTTPResponse) throws {
        guard case .stream(_, _, let body) = response else {
            throw TestFailure("expected a stream, got \(response.status)")
        }
        stream = body
    }

    func event() async throws -> ServerSentEvent? {
        while pending.isEmpty {
            guard let chunk = await stream.next() else { return nil }
            pending += try parser.feed(chunk)
        }
        return pending.removeFirst()
    }

    /// The next event with data.
    func message() async throws -> JSONValue? {
        while let event = try await event() {
            if !event.data.isEmpty { return try JSONValue(parsing: event.data) }
        }
        return nil
    }

    func leave() { stream.abandon() }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

let alice = Principal(id: "1", name: "alice")
let bob = Principal(id: "2", name: "bob")
