import CurlTransport
import Foundation
import GRDB
import JSON
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

/// How the gateway answers for a broken upstream.
enum ErrorStyle: String, CaseIterable, Sendable {
    /// Always 500, as the old API did.
    case legacy
    /// 502 and 504, as interface promises.
    case standard
}

/// A copy of the existing Django database and a configuration for it, made from the one that ships as an example.
struct LegacySite: Sendable {
    static let secretKey = "bench-only-key-bench-only-key-bench-only-key-0123456789"
    static let example = "deploy/examples/django/gateway.json"

    let directory: TemporaryDirectory
    let database: String
    let configuration: String

    /// - Parameter timeouts: types whose timeout is another than the example's.
    init(_ style: ErrorStyle, timeouts: [String: String] = [:]) throws {
        directory = try TemporaryDirectory("legacy")
        database = directory.path("legacy.sqlite3")
        try FileManager.default.copyItem(
            atPath: Checkout.path("Tests/Fixtures/legacy/legacy.sqlite3"), toPath: database)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: database)

        var document = try #require(JSONValue(parsing: Checkout.text(Self.example)).object)
        document["errors"] = .string(style.rawValue)
        var chat = try #require(document["chat"]?.object)
        var types = try #require(chat["types"]?.object)
        for (name, timeout) in timeouts {
            var type = try #require(types[name]?.object)
            type["timeout"] = .string(timeout)
            types[name] = .object(type)
        }
        chat["types"] = .object(types)
        document["chat"] = .object(chat)
        configuration = try directory.write(JSONValue.object(document).text, to: "gateway.json")
    }

    /// Rows of `ai_chatmessage` after the first `count`.
    func saved(after count: Int) throws -> [SavedMessage] {
        try rows(
            """
            SELECT username AS user, CAST(message AS BLOB) AS message, CAST(response AS BLOB) AS response
            FROM ai_chatmessage JOIN ai_user ON ai_user.id = user_id ORDER BY ai_chatmessage.id LIMIT -1 OFFSET \(count)
            """
        ) { row in
            SavedMessage(
                user: row["user"], message: String(decoding: row["message"] as Data, as: UTF8.self),
                response: String(decoding: row["response"] as Data, as: UTF8.self))
        }
    }

    /// What must not change: journal mode, schema, and every row but messages.
    func fingerprint() throws -> [String] {
        var lines = try rows("PRAGMA journal_mode") { $0[0] as String }
        lines += try rows("SELECT coalesce(sql, name) AS text FROM sqlite_master ORDER BY name") { $0[0] as String }
        let tables = try rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") { $0[0] as String }
        for table in tables where !["ai_chatmessage", "sqlite_sequence"].contains(table) {
            lines += try rows("SELECT * FROM \"\(table)\"") { "\(table): \($0)" }
        }
        return lines
    }

    func rows<T>(_ sql: String, _ read: (Row) -> T) throws -> [T] {
        var configuration = GRDB.Configuration()
        configuration.readonly = true
        return try DatabaseQueue(path: database, configuration: configuration).read { db in
            try Row.fetchAll(db, sql: sql).map(read)
        }
    }

    func gateway(upstream: String) async throws -> RunningService {
        try await .gateway(upstream: upstream, configuration: configuration)
    }
}

/// Both products on the Django database, with a test AI provider behind and a recorder between them.
final class LegacyStack: Sendable {
    @TaskLocal private static var scoped: LegacyStack?

    static var current: LegacyStack {
        get throws { try #require(scoped, "the suite has no .legacyStack trait") }
    }

    let site: LegacySite
    let toolServer: RunningService
    let gateway: RunningService
    let recorder: CallRecorder
    private let provider: ScriptedHTTPServer

    private init(_ style: ErrorStyle, timeouts: [String: String]) async throws {
        site = try LegacySite(style, timeouts: timeouts)
        provider = try await ScriptedHTTPServer { Self.answer($0) }
        toolServer = try await RunningService.start(
            .toolServer,
            [
                "--config", site.configuration, "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0",
                "--database", site.database,
            ],
            environment: [
                "DJANGO_SECRET_KEY": LegacySite.secretKey, "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "test",
            ])
        try await toolServer.ready()
        recorder = try await CallRecorder(before: toolServer.url)
        gateway = try await site.gateway(upstream: recorder.url + "/mcp/")
        try await gateway.ready()
    }

    static func with(
        _ style: ErrorStyle, timeouts: [String: String] = [:], _ body: (LegacyStack) async throws -> Void
    ) async throws {
        let stack = try await LegacyStack(style, timeouts: timeouts)
        do {
            try await $scoped.withValue(stack) { try await body(stack) }
        } catch {
            print(stack.gateway.process.log + stack.toolServer.process.log)
            throw error
        }
        try await stack.gateway.stop()
        try await stack.toolServer.stop()
        stack.recorder.stop()
        stack.provider.stop()
    }

    /// The old AI wrapper as a provider: it repeats the prompt, and fails for one.
    private static func answer(_ request: ScriptedRequest) -> ScriptedResponse {
        let body = try? JSONValue(parsing: Array(request.body.readableBytesView))
        guard request.path == "/v1/chat/completions", let last = body?["messages"]?.array?.last,
            last["role"] == "user", let prompt = last["content"]?.string
        else { return .json(#"{"error":{"message":"no prompt"}}"#, status: 400) }
        if prompt == "!fail" { return .json(#"{"error":{"message":"model unavailable"}}"#, status: 400) }
        let answer: JSONValue = [
            "choices": [["message": ["role": "assistant", "content": .string("Echo: " + prompt)]]]
        ]
        return .json(answer.text)
    }
}

/// Gives a suite one stack on the Django database for all its tests.
struct LegacyStackTrait: SuiteTrait, TestScoping {
    let style: ErrorStyle

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await LegacyStack.with(style) { _ in try await function() }
    }
}

extension Trait where Self == LegacyStackTrait {
    static func legacyStack(_ style: ErrorStyle) -> Self { Self(style: style) }
}

/// Stands between gateway and tool-server, passes everything on and remembers tool calls; can hold calls up.
final class CallRecorder: Sendable {
    struct Call: Sendable {
        let tool: String
        let arguments: JSONValue
    }

    private final class State: Sendable {
        let calls = Mutex<[Call]>([])
        let delay = Mutex<Duration>(.zero)
    }

    private static let engine = CurlEngine(label: "recorder")
    private let server: ScriptedHTTPServer
    private let state: State

    init(before target: String) async throws {
        let state = State()
        self.state = state
        server = try await ScriptedHTTPServer { request in
            guard request.method != "GET" else { return .empty(405) }
            if let message = try? JSONValue(parsing: Array(request.body.readableBytesView)),
                message["method"] == "tools/call"
            {
                let params = message["params"]
                state.calls.withLock {
                    $0.append(Call(tool: params?["name"]?.string ?? "", arguments: params?["arguments"] ?? [:]))
                }
                try? await Task.sleep(for: state.delay.withLock { $0 })
            }
            return await Self.pass(request, to: target)
        }
    }

    var url: String { server.url }
    func stop() { server.stop() }

    /// Tool calls are held up for so long from now on.
    func delayCalls(by delay: Duration) { state.delay.withLock { $0 = delay } }

    /// The calls since the last time.
    func takeCalls() -> [Call] {
        state.calls.withLock { calls in
            defer { calls = [] }
            return calls
        }
    }

    private static let connectionHeaders: Set<String> = [
        "host", "connection", "content-length", "transfer-encoding", "keep-alive", "expect",
    ]

    private static func pass(_ request: ScriptedRequest, to target: String) async -> ScriptedResponse {
        var headers = CurlHeaders()
        for (name, value) in request.headers where !connectionHeaders.contains(name.lowercased()) {
            headers.append(name: name, value: value)
        }
        do {
            let response = try await engine.execute(
                CurlRequest(
                    method: request.method, url: target + request.path, headers: headers, body: request.body,
                    timeout: .seconds(60)))
            let kept = response.headers.filter { !connectionHeaders.contains($0.name.lowercased()) }
            return .whole(
                status: response.status, headers: kept.map { ($0.name, $0.value) }, body: response.body)
        } catch {
            return .closeBeforeResponse
        }
    }
}
