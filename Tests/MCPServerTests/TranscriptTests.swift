import Foundation
import JSON
import MCP
import Testing

@testable import MCPServer

/// What goes over the wire, byte for byte. `UPDATE_TRANSCRIPTS=1` writes the files anew; look at the difference then.
@Suite("Transcripts")
struct TranscriptTests {
    struct FixedIdentifiers: SessionIdentifying {
        func issue(_ facts: SessionMetadata) -> String { "session-1" }
        func recognise(_ id: String, owner: String?) async -> SessionMetadata? { nil }
        func ended(_ id: String) {}
    }

    private static func fixture() throws -> Fixture {
        try Fixture(
            configuration: StreamableHTTPConfiguration(tick: .zero, identifiers: FixedIdentifiers()),
            tools: [
                ScriptedTool("steps") { _, context in
                    await context.progress(1, total: 2, message: "half")
                    return .text("done")
                }
            ])
    }

    private static func exchange(
        _ fixture: Fixture, _ body: JSONValue, _ headers: [(String, String)], into text: inout String
    ) async throws {
        let fields = headers.map { (name: $0.0, value: $0.1) }
        let response = await fixture.post(body, headers: MCPHTTPHeaders(fields))
        let reply = try await Reply(response)
        for (name, value) in headers { text += "> \(name): \(value)\n" }
        text += "> \(body.text)\n< \(reply.status)\n"
        for (name, value) in reply.headers { text += "< \(name): \(value)\n" }
        if !reply.body.isEmpty {
            let lines = String(decoding: reply.body, as: UTF8.self).split(
                separator: "\n", omittingEmptySubsequences: false)
            for line in lines { text += "< \(line)\n" }
        }
        text += "\n"
    }

    private static func compare(_ text: String, _ name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Transcripts/\(name).txt")
        if ProcessInfo.processInfo.environment["UPDATE_TRANSCRIPTS"] == "1" {
            try Data(text.utf8).write(to: file)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        #expect(text == expected, "differs from Transcripts/\(name).txt; UPDATE_TRANSCRIPTS=1 accepts it")
    }

    @Test("a session of each legacy revision", arguments: MCPVersion.legacy)
    func legacy(version: MCPVersion) async throws {
        let fixture = try Self.fixture()
        var text = ""
        try await Self.exchange(fixture, Fixture.initializeBody(version.rawValue), [], into: &text)
        let session = [("Mcp-Session-Id", "session-1"), ("MCP-Protocol-Version", version.rawValue)]
        let messages: [JSONValue] = [
            JSONRPCNotification(method: "notifications/initialized").json,
            JSONRPCRequest(id: 2, method: "tools/list").json,
            JSONRPCRequest(
                id: 3, method: "tools/call", params: ["name": "echo", "arguments": ["message": "hi"]]
            ).json,
            JSONRPCRequest(
                id: "four", method: "tools/call", params: ["name": "steps", "_meta": ["progressToken": "t"]]
            ).json,
            JSONRPCRequest(id: 5, method: "tools/call", params: ["name": "echo", "arguments": ["message": 7]]).json,
            JSONRPCRequest(id: 6, method: "resources/read", params: ["uri": "test://9"]).json,
        ]
        for message in messages { try await Self.exchange(fixture, message, session, into: &text) }
        try await Self.exchange(fixture, JSONRPCRequest(id: 7, method: "ping").json, [], into: &text)
        try Self.compare(text, version.rawValue)
    }

    @Test("2026-07-28")
    func modern() async throws {
        let fixture = try Self.fixture()
        var text = ""
        let calls: [(String, JSONObject, JSONObject)] = [
            ("server/discover", [:], [:]), ("tools/list", [:], [:]),
            ("tools/call", ["name": "echo", "arguments": ["message": "hi"]], [:]),
            ("tools/call", ["name": "steps"], ["progressToken": "t"]),
            ("tools/call", ["name": "none"], [:]), ("resources/read", ["uri": "test://1"], [:]), ("ping", [:], [:]),
        ]
        for (number, (method, params, meta)) in calls.enumerated() {
            var headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)]
            if let key = MCPMethod.nameParameter(of: method), let name = params[key]?.string {
                headers.append(("Mcp-Name", name))
            }
            let body = Fixture.modernBody(method, params, id: .integer(Int64(number + 1)), meta: meta)
            try await Self.exchange(fixture, body, headers, into: &text)
        }
        try Self.compare(text, "2026-07-28")
    }
}
