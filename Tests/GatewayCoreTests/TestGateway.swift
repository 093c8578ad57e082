import CurlTransport
import Foundation
import JSON
import Logging
import MCP
import NIOCore
import Observability
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// A gateway on a free port of 127.0.0.1, and a client for it.
struct TestGateway: Sendable {
    let gateway: Gateway
    let port: Int
    let adminPort: Int
    let engine: CurlEngine
    let metrics: MetricsRegistry

    /// - Parameters:
    ///   - output: Where log lines go; nil: nowhere.
    ///   - load: The configuration, read at start and at every reload.
    static func start(
        logTo output: LogOutput? = nil, now: @escaping @Sendable () -> Date = { Date() },
        _ load: @escaping @Sendable () throws -> GatewayConfiguration
    ) async throws -> TestGateway {
        let metrics = MetricsRegistry()
        let gateway = try await buildGateway(
            try load(),
            dependencies: GatewayDependencies(
                log: output, metrics: metrics, load: load, now: now))
        let addresses = try await gateway.start()
        return TestGateway(
            gateway: gateway, port: addresses.main.first?.port ?? 0, adminPort: addresses.admin.first?.port ?? 0,
            engine: CurlEngine(label: "test"), metrics: metrics)
    }

    /// Runs the body against a gateway with the shipped types, in front of `upstream`.
    static func with(
        _ upstream: FakeToolServer, _ changes: JSONObject = [:], _ body: (TestGateway) async throws -> Void
    ) async throws {
        let document = try TestConfiguration.document(upstream: upstream.url, changes)
        defer { upstream.stop() }
        try await start { try TestConfiguration.read(document) }.stopped(after: body)
    }

    /// Runs the body, and stops the gateway whether or not it throws.
    func stopped(after body: (TestGateway) async throws -> Void) async throws {
        do {
            try await body(self)
        } catch {
            await stop()
            throw error
        }
        await stop()
    }

    func stop() async {
        await gateway.drain()
        await engine.shutdown()
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    func send(
        _ method: String, _ path: String, headers: CurlHeaders = [], body: String? = nil
    ) async throws -> CurlResponse {
        // The limits that are tested are the gateway's, also on a busy machine.
        try await engine.execute(
            CurlRequest(
                method: method, url: url(path), headers: headers, body: body.map { ByteBuffer(string: $0) },
                timeout: .seconds(120), connectTimeout: .seconds(60)))
    }

    func chat(_ body: String, headers: CurlHeaders = []) async throws -> CurlResponse {
        try await send("POST", "/api/chat/", headers: headers, body: body)
    }

    func admin(_ path: String) async throws -> CurlResponse {
        try await engine.execute(CurlRequest(url: "http://127.0.0.1:\(adminPort)\(path)"))
    }

    /// Waits until the gateway has seen the upstream's tools, so that arguments are checked.
    func waitUntilReady() async {
        _ = await eventually { gateway.status.readiness.isReady }
    }
}

extension CurlResponse {
    var text: String { String(buffer: body) }
    var json: JSONValue? { try? JSONValue(parsing: Array(body.readableBytesView)) }
    var contentType: String? { headers.first(name: "Content-Type") }
}

/// Configurations for tests.
enum TestConfiguration {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The shipped gateway.json.
    static func shipped() throws -> JSONObject {
        let data = try Data(contentsOf: root.appending(path: "gateway.json"))
        return try #require(JSONValue(parsing: Array(data)).object)
    }

    /// The shipped types, on free ports, in front of a legacy upstream; `changes` replace top-level keys.
    static func document(upstream: String, _ changes: JSONObject = [:]) throws -> JSONValue {
        var document = try shipped()
        document["listen"] = "127.0.0.1:0"
        document["admin"] = "127.0.0.1:0"
        document["workers"] = 1
        document["accessLog"] = false
        document["upstreams"] = [
            "tools": [
                "url": .string(upstream + "/mcp/"), "trusted": true, "era": "legacy", "retryWindow": "0s",
                "probeInterval": "60s",
                "connectTimeout": .string("\(Duration.seconds(2).underSanitizer.components.seconds)s"),
            ]
        ]
        if Sanitizer.current != nil { document["chat"] = patient(document["chat"]) }
        for (key, value) in changes { document[key] = value }
        return .object(document)
    }

    /// The chat section with more time for each type.
    private static func patient(_ chat: JSONValue?) -> JSONValue? {
        guard var chat = chat?.object, var types = chat["types"]?.object else { return chat }
        for (name, type) in types {
            guard var type = type.object else { continue }
            type["timeout"] = "300s"
            types[name] = .object(type)
        }
        chat["types"] = .object(types)
        return .object(chat)
    }

    static func read(_ document: JSONValue, environment: [String: String] = [:]) throws -> GatewayConfiguration {
        try GatewayConfiguration.read(document, environment: environment)
    }

    /// The types of a `chat` section.
    static func types(_ chat: JSONValue) throws -> TypeMap {
        let configuration = try read(["upstreams": ["tools": ["url": "http://127.0.0.1:1/mcp/"]], "chat": chat])
        return TypeMap(configuration.chat, upstreams: configuration.upstreams)
    }

    static func shippedTypes() throws -> TypeMap {
        try types(try #require(shipped()["chat"]))
    }
}

/// A legacy MCP server whose tools are a function of the test.
final class FakeToolServer: Sendable {
    /// What a tool does.
    enum Answer: Sendable {
        /// The `result` of the JSON-RPC response.
        case result(JSONValue)
        /// The whole HTTP response.
        case response(ScriptedResponse)

        static func structured(_ value: JSONValue) -> Answer {
            .result(["content": [["type": "text", "text": .string(value.text)]], "structuredContent": value])
        }
        static func results(_ value: JSONValue) -> Answer { .structured(["results": value]) }
        static func text(_ text: String) -> Answer { .result(["content": [["type": "text", "text": .string(text)]]]) }
        static func error(_ text: String, meta: JSONValue? = nil) -> Answer {
            var result: JSONObject = ["content": [["type": "text", "text": .string(text)]], "isError": true]
            result["_meta"] = meta
            return .result(.object(result))
        }
    }

    struct Call: Sendable {
        let tool: String
        let arguments: JSONValue
        let id: JSONValue
        let progressToken: JSONValue?
        let request: ScriptedRequest
    }

    private let server: ScriptedHTTPServer
    private let recorded: Recorded

    private final class Recorded: Sendable {
        let calls = Mutex<[Call]>([])
    }

    /// The calls so far.
    var calls: [Call] { recorded.calls.withLock { $0 } }
    var requests: [ScriptedRequest] { server.requests }
    var url: String { server.url }
    var bytesSent: Int { server.log.bytesSent }

    /// - Parameters:
    ///   - other: Answers what is no MCP message; nil lets the MCP side answer.
    ///   - answer: What a tool call gives.
    init(
        tools: JSONValue = FakeToolServer.shippedTools, unixSocketPath: String? = nil,
        other: @escaping @Sendable (ScriptedRequest) async -> ScriptedResponse? = { _ in nil },
        _ answer: @escaping @Sendable (Call) async -> Answer
    ) async throws {
        let recorded = Recorded()
        self.recorded = recorded
        server = try await ScriptedHTTPServer(unixSocketPath: unixSocketPath) { request in
            if let response = await other(request) { return response }
            return await Self.respond(request, tools, recorded, answer)
        }
    }

    func stop() { server.stop() }
    /// Returns when the port refuses connections.
    func stopAndWait() async throws { try await server.stopAndWait() }
    func restart() async throws { try await server.restart() }
    func waitUntil(_ condition: @Sendable (ScriptedServerRecord) -> Bool) async throws {
        try await server.waitUntil(condition)
    }

    /// Returns when a gateway that asks again and again has listed the tools and taken them over.
    func waitForTools() async throws {
        // It takes them over before it asks the second time.
        try await waitUntil { $0.requests.filter { $0.text.contains("tools/list") }.count > 1 }
    }

    private static func respond(
        _ request: ScriptedRequest, _ tools: JSONValue, _ recorded: Recorded,
        _ answer: @Sendable (Call) async -> Answer
    ) async -> ScriptedResponse {
        guard let message = ScriptedMCPMessage(request) else { return .empty(400) }
        guard let id = message.id else { return .empty(202) }
        switch message.method {
        case "initialize":
            return message.opened()
        case "tools/list":
            return message.result(["tools": tools])
        case "tools/call":
            let params = message.json["params"]
            let call = Call(
                tool: params?["name"]?.string ?? "", arguments: params?["arguments"] ?? .null, id: id,
                progressToken: params?["_meta"]?["progressToken"], request: request)
            recorded.calls.withLock { $0.append(call) }
            switch await answer(call) {
            case .result(let result): return message.result(result)
            case .response(let response): return response
            }
        default:
            return message.result([:])
        }
    }

    /// The tools that the shipped types call.
    static let shippedTools: JSONValue = [
        tool("search_projects", ["query"]), tool("search_any", ["model", "query"]), tool("get_user_info", []),
        tool("ai_prompt", ["prompt"], readOnly: false), tool("chat", ["message"], readOnly: false),
        tool("chat_history", []),
    ]

    static func tool(_ name: String, _ arguments: [String], readOnly: Bool = true) -> JSONValue {
        [
            "name": .string(name), "annotations": ["readOnlyHint": .bool(readOnly)],
            "inputSchema": [
                "type": "object",
                "properties": .object(JSONObject(arguments.map { ($0, ["type": "string"]) })),
                "required": .array(arguments.map { .string($0) }),
            ],
        ]
    }
}

extension CurlHeaders {
    static func + (left: CurlHeaders, right: CurlHeaders) -> CurlHeaders {
        var headers = left
        headers.append(contentsOf: right)
        return headers
    }
}
