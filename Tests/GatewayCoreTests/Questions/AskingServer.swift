import CurlTransport
import Foundation
import JSON
import MCP
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// An MCP server whose tool `book` asks its user what a test wants, in either era.
///
/// In 2026-07-28 the questions are a result, and the answers come with the repeated call. In a legacy revision each
/// question is a request on the stream of the call, which the server holds until it is answered.
final class AskingServer: Sendable {
    enum Era: String, CaseIterable, Sendable { case modern, legacy }

    /// A call of the tool as it arrived.
    struct Call: Sendable {
        let arguments: JSONValue
        let meta: JSONValue
        let responses: JSONValue?
        let state: JSONValue?
        let cookie: String?
    }

    private struct State {
        var calls: [Call] = []
        /// Answers to the requests of the server, by their id.
        var answers: [String: JSONValue] = [:]
        var next = 0
        var cancelled = 0
        /// Results that the tool has given after all its questions.
        var runs: [JSONValue] = []
        var isUnavailable = false
        var tools = ["book"]
    }

    let era: Era
    private let http: ScriptedHTTPServer
    private let shared: Shared

    private final class Shared: Sendable {
        let state = Mutex(State())
        let questions: [JSONObject]
        let era: Era

        init(_ era: Era, _ questions: [JSONObject]) {
            self.era = era
            self.questions = questions
        }
    }

    /// A form that asks for a number of seats and a row.
    static let seats: JSONObject = [
        "message": "How many seats?",
        "requestedSchema": [
            "type": "object",
            "properties": [
                "seats": ["type": "integer", "title": "Seats", "minimum": 1, "maximum": 9],
                "row": ["type": "string", "enum": ["front", "back"]],
            ],
            "required": ["seats"],
        ],
    ]
    static let sure: JSONObject = [
        "message": "Sure?",
        "requestedSchema": ["type": "object", "properties": ["sure": ["type": "boolean"]], "required": ["sure"]],
    ]
    static let page: JSONObject = ["mode": "url", "message": "Pay here.", "url": "https://pay.example/7"]

    /// - Parameters:
    ///   - questions: Parameters of the elicitations, all asked at once in 2026-07-28, one after another before.
    ///   - other: Answers what it likes before this server does.
    init(
        _ era: Era, _ questions: [JSONObject] = [AskingServer.seats],
        other: @escaping @Sendable (ScriptedMCPMessage) async -> ScriptedResponse? = { _ in nil }
    ) async throws {
        self.era = era
        let shared = Shared(era, questions)
        self.shared = shared
        http = try await ScriptedHTTPServer { request in
            guard let message = ScriptedMCPMessage(request) else { return .empty(400) }
            if let response = await other(message) { return response }
            return await Self.respond(message, request, shared)
        }
    }

    var url: String { http.url }
    var calls: [Call] { shared.state.withLock { $0.calls } }
    /// What the tool has done: the answers of each run that came to its end.
    var runs: [JSONValue] { shared.state.withLock { $0.runs } }
    var cancelled: Int { shared.state.withLock { $0.cancelled } }
    var declared: JSONValue? {
        http.requests.lazy.compactMap { try? JSONValue(parsing: Array($0.body.readableBytesView)) }
            .compactMap {
                $0["params"]?["capabilities"] ?? $0["params"]?["_meta"]?[MCPMeta.clientCapabilities]
            }.first
    }

    func stop() { http.stop() }
    func restart() async throws { try await http.restart() }
    func stopAndWait() async throws { try await http.stopAndWait() }
    /// The tools that are listed.
    func list(_ tools: [String]) { shared.state.withLock { $0.tools = tools } }

    private static func respond(
        _ message: ScriptedMCPMessage, _ request: ScriptedRequest, _ shared: Shared
    ) async -> ScriptedResponse {
        guard let method = message.method else {
            if let id = message.id?.string, let answer = message.json["result"] ?? message.json["error"] {
                shared.state.withLock { $0.answers[id] = answer }
            }
            return .empty(202)
        }
        switch method {
        case "initialize" where shared.era == .legacy: return message.opened()
        case "server/discover" where shared.era == .modern:
            return message.result([
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": ["tools": [:]],
                "ttlMs": 1000, "cacheScope": "public",
            ])
        case "tools/list":
            let tools = shared.state.withLock { $0.tools }.map { FakeToolServer.tool($0, ["what"], readOnly: false) }
            return message.result([
                "resultType": "complete", "tools": .array(tools), "ttlMs": 1000, "cacheScope": "public",
            ])
        case "tools/call": return call(message, request, shared)
        case "notifications/cancelled":
            shared.state.withLock { $0.cancelled += 1 }
            return .empty(202)
        case "ping": return message.result([:])
        default:
            guard message.id != nil else { return .empty(202) }
            return .json(
                JSONValue.object([
                    "jsonrpc": "2.0", "id": message.id ?? .null, "error": ["code": -32601, "message": "unknown"],
                ]).text, status: shared.era == .modern ? 404 : 200)
        }
    }

    private static func call(
        _ message: ScriptedMCPMessage, _ request: ScriptedRequest, _ shared: Shared
    ) -> ScriptedResponse {
        let params = message.json["params"] ?? [:]
        let call = Call(
            arguments: params["arguments"] ?? .null, meta: params["_meta"] ?? [:],
            responses: params["inputResponses"], state: params["requestState"], cookie: request.header("Cookie"))
        shared.state.withLock { $0.calls.append(call) }
        if shared.era == .modern {
            guard let responses = call.responses else {
                let requests = shared.questions.enumerated().map { number, params in
                    ("q\(number)", ["method": "elicitation/create", "params": .object(params)] as JSONValue)
                }
                return message.result([
                    "resultType": "input_required", "requestState": "a\u{E9} \"1\"",
                    "inputRequests": .object(JSONObject(requests)),
                ])
            }
            return message.result(done(responses, shared, resultType: "complete"))
        }
        return .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
            var answers: JSONObject = [:]
            for (number, params) in shared.questions.enumerated() {
                let id = shared.state.withLock { state in
                    state.next += 1
                    return "question-\(state.next)"
                }
                let question: JSONValue = [
                    "jsonrpc": "2.0", "id": .string(id), "method": "elicitation/create", "params": .object(params),
                ]
                try await writer.write("data: \(question.text)\n\n")
                while true {
                    if let answer = shared.state.withLock({ $0.answers[id] }) {
                        answers["q\(number)"] = answer
                        break
                    }
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
            let response: JSONValue = [
                "jsonrpc": "2.0", "id": message.id ?? .null, "result": done(.object(answers), shared),
            ]
            try await writer.write("data: \(response.text)\n\n")
        }
    }

    /// The tool's result: the answers as text.
    private static func done(_ answers: JSONValue, _ shared: Shared, resultType: String? = nil) -> JSONValue {
        shared.state.withLock { $0.runs.append(answers) }
        var result: JSONObject = ["content": [["type": "text", "text": .string(answers.sorted.text)]]]
        if let resultType { result["resultType"] = .string(resultType) }
        return .object(result)
    }
}

/// A gateway with questions in front of an ``AskingServer``.
struct QuestionGateway {
    static let key = "0123456789abcdef0123456789abcdef"

    /// Clock of a gateway, set by the test.
    final class Clock: Sendable {
        private let time = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        var now: Date { time.withLock { $0 } }
        func advance(by seconds: Double) { time.withLock { $0 += seconds } }
    }

    static func document(
        _ server: AskingServer, chat: JSONObject = [:], _ changes: JSONObject = [:]
    ) throws -> JSONValue {
        var section: JSONObject = [
            "questions": true, "defaultType": "book",
            "types": ["book": ["tool": "book", "arguments": ["what": [:]], "reply": ["shape": "wrapped"]]],
        ]
        for (key, value) in chat { section[key] = value }
        var changes = changes
        changes["chat"] = .object(section)
        changes["sessionKey"] = .string(key)
        changes["upstreams"] =
            changes["upstreams"]
            ?? [
                "tools": [
                    "url": .string(server.url + "/mcp/"), "trusted": true, "era": .string(server.era.rawValue),
                    "retryWindow": "0s", "probeInterval": "60s",
                ]
            ]
        return try TestConfiguration.document(upstream: server.url, changes)
    }

    static func with(
        _ server: AskingServer, chat: JSONObject = [:], _ changes: JSONObject = [:],
        now: @escaping @Sendable () -> Date = { Date() }, _ body: (TestGateway) async throws -> Void
    ) async throws {
        let document = try document(server, chat: chat, changes)
        defer { server.stop() }
        try await TestGateway.start(now: now) { try TestConfiguration.read(document) }.stopped { test in
            await test.waitUntilReady()
            try await body(test)
        }
    }
}

extension TestGateway {
    static let events: CurlHeaders = [("Accept", "text/event-stream")]

    /// Asks the type `book`.
    func book(headers: CurlHeaders = []) async throws -> CurlResponse {
        try await chat(#"{"what":"chairs"}"#, headers: headers)
    }

    /// Asks the type `book`, and returns the question.
    func question(headers: CurlHeaders = []) async throws -> JSONValue {
        let response = try await book(headers: headers)
        return try #require(response.json?["question"], "\(response.status) \(response.text)")
    }

    func answer(
        _ question: JSONValue, _ action: String = "accept", _ values: JSONValue? = ["seats": 2],
        headers: CurlHeaders = []
    ) async throws -> CurlResponse {
        try await answer(id: question["id"]?.string ?? "", action, values, headers: headers)
    }

    func answer(
        id: String, _ action: String = "accept", _ values: JSONValue? = ["seats": 2], headers: CurlHeaders = []
    ) async throws -> CurlResponse {
        var payload: JSONObject = ["type": "answer", "id": .string(id), "action": .string(action)]
        payload["values"] = values
        return try await chat(JSONValue.object(payload).text, headers: headers)
    }
}
