import CurlTransport
import JSON
import TestSupport
import Testing

@testable import GatewayCore

/// Lists of tools that the pass-through's filter withholds: as long as no head was sent, the client gets an error of its
/// own instead of a connection that ends.
@Suite(.timeLimit(.minutes(2))) struct WithheldListTests {
    private static let ask = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
    private static let list = #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hidden"},{"name":"a"}]}}"#

    private func answer(
        _ response: ScriptedResponse, _ changes: JSONObject = [:], ask: String = Self.ask,
        _ body: (CurlResponse) async throws -> Void
    ) async throws {
        let upstream = try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? response : nil
        }) { _ in .results([]) }
        let tools: JSONObject = ["passthrough": ["tools": ["deny": ["hidden"]]]]
        try await TestGateway.with(upstream, tools.merging(changes)) { (test) async throws in
            await test.waitUntilReady()
            try await body(try await test.send("POST", "/mcp/", headers: [("Mcp-Session-Id", "s")], body: ask))
        }
    }

    @Test(arguments: [
        "\u{FEFF}" + list, list + "x", String(list.dropLast()), "[" + list, "\0" + list,
        #"{"result":{"tools":[{"name":"hidden"}],"x":NaN}}"#,
        "\u{FEFF}" + list + String(repeating: " ", count: 500_000),
    ])
    func aListThatCannotBeReadIsABadGateway(_ document: String) async throws {
        for type in ["application/json", "text/plain"] {
            try await answer(.json(document, headers: [("Content-Type", type)])) { response in
                #expect(response.status == 502)
                #expect(response.json == ["error": "MCP error"])
            }
        }
    }

    @Test func aListThatIsCutOffIsABadGateway() async throws {
        try await answer(.closeMidBody(Self.list)) { response in
            #expect(response.status == 502)
            #expect(response.json == ["error": "MCP error"])
        }
    }

    @Test func aListBeyondTheLimitIsABadGateway() async throws {
        let long = Self.list + String(repeating: " ", count: 200_000)
        try await answer(.json(long), ["limits": ["upstreamResponse": 100_000]]) { response in
            #expect(response.status == 502)
            #expect(response.json == ["error": "MCP error"])
        }
    }

    @Test func aListWithoutRoomIsOverloaded() async throws {
        let long = Self.list + String(repeating: " ", count: 2 << 20)
        try await answer(.json(long), ["limits": ["memory": "1MiB"]]) { response in
            #expect(response.status == 503)
            #expect(response.json == ["error": "Overloaded"])
            #expect(response.headers.first(name: "Retry-After") == "1")
        }
    }

    @Test func whatIsReadKeepsItsHead() async throws {
        let filtered = #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}"#
        for status in [200, 404, 500] {
            let response = ScriptedResponse.json(Self.list, status: status, headers: [("Mcp-Session-Id", "t")])
            try await answer(response) { response in
                #expect(response.status == status)
                #expect(response.text == filtered)
                #expect(response.headers.first(name: "Mcp-Session-Id") == "t")
                #expect(response.headers.first(name: "Content-Length") == "\(filtered.utf8.count)")
            }
        }
        try await answer(.empty(202)) { response in
            #expect(response.status == 202)
            #expect(response.text == "")
        }
    }

    @Test func whatAsksForNoListIsNotHeld() async throws {
        let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
        try await answer(.json(Self.list + "x"), ask: ping) { response in
            #expect(response.status == 200)
            #expect(response.text == Self.list + "x")
        }
    }
}
