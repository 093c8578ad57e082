import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// A gateway between an MCP server and an old backend, both fake.
struct Migration {
    let test: TestGateway
    let tools: FakeToolServer
    let old: ScriptedHTTPServer

    /// - Parameters:
    ///   - types: The configured types; `tools` and `old` are the upstreams.
    ///   - chat: Further keys of the `chat` section.
    ///   - backend: Further keys of the old backend.
    static func with(
        types: JSONObject, chat: JSONObject = [:], backend: JSONObject = [:], changes: JSONObject = [:],
        tools: JSONValue = FakeToolServer.shippedTools,
        tool: @escaping @Sendable (FakeToolServer.Call) async -> FakeToolServer.Answer = { _ in .results("new") },
        old: @escaping @Sendable (ScriptedRequest) async -> ScriptedResponse = { _ in .json(#"{"old":true}"#) },
        _ body: (Migration) async throws -> Void
    ) async throws {
        let server = try await ScriptedHTTPServer { request in
            // The checks of its health are not what the tests are about.
            request.method == "GET" ? .empty(405) : await old(request)
        }
        let fake = try await FakeToolServer(tools: tools, tool)
        var backend = backend
        backend["kind"] = "chat"
        if backend["trusted"] == nil { backend["trusted"] = true }
        if backend["url"] == nil { backend["url"] = .string(server.url + "/api/chat/") }
        var changes = changes
        changes["upstreams"] = [
            "tools": [
                "url": .string(fake.url + "/mcp/"), "trusted": true, "era": "legacy", "retryWindow": "0s",
                "probeInterval": "20ms",
            ],
            "old": .object(backend),
        ]
        var section = chat
        section["types"] = .object(types)
        if section["defaultType"] == nil, let first = types.first { section["defaultType"] = .string(first.key) }
        changes["chat"] = .object(section)
        try await TestGateway.with(fake, changes) { (test) async throws in
            try await fake.waitForTools()
            try await body(Migration(test: test, tools: fake, old: server))
        }
        server.stop()
    }

    /// What the old backend was sent, its checks left out.
    var sent: [ScriptedRequest] { old.requests.filter { $0.method != "GET" } }

    func chat(_ body: String, headers: CurlHeaders = []) async throws -> CurlResponse {
        try await test.chat(body, headers: headers)
    }

    /// The value of a metric's line; nil while there is none.
    func metric(_ line: String) -> Int? {
        test.metrics.exposition().split(separator: "\n").first { $0.hasPrefix(line + " ") }
            .flatMap { Int($0.dropFirst(line.count + 1)) }
    }

    static let search: JSONObject = [
        "tool": "search_projects", "arguments": ["query": [:]], "missing": "Missing query",
    ]

    static func search(_ more: JSONObject) -> JSONValue { .object(search.merging(more)) }
}
