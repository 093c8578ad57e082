import CurlTransport
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Upstreams that break HTTP's rules, behind the pass-through and as an old backend: the gateway goes on.
@Suite struct OddUpstreamTests {
    static let heads = [
        "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/2 -50\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n{}",
    ]

    private func upstream(_ answer: ScriptedResponse) async throws -> FakeToolServer {
        try await FakeToolServer(other: { request in
            request.headers.contains(name: "X-Forwarded-Proto") ? answer : nil
        }) { _ in .results([]) }
    }

    @Test(arguments: heads) func anUnreadableHeadIsABadGateway(_ head: String) async throws {
        let upstream = try await upstream(.raw(head, close: true))
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("GET", "/mcp/")
            #expect(response.status == 502)
            #expect(response.text == #"{"error": "MCP error"}"# || response.text == #"{"error":"MCP error"}"#)
            #expect(try await test.send("GET", "/nowhere").status == 404, "the gateway is there")
        }
    }

    @Test func headersThatAreNoneAreDropped() async throws {
        let head =
            "HTTP/1.1 200 OK\r\nX-Good: 1\r\nX-\u{E9}: 2\r\nHTTP/a: b\r\nX Y: 3\r\nX-Value: \u{E9}\r\n"
            + "Content-Length: 2\r\n\r\n{}"
        let upstream = try await upstream(.raw(head, close: true))
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.send("GET", "/mcp/")
            #expect(response.status == 200)
            #expect(response.text == "{}")
            #expect(response.headers.first(name: "X-Good") == "1")
            #expect(response.headers.first(name: "X-Value") == "\u{E9}")
            #expect(!response.headers.contains { $0.name.contains(" ") || $0.name.contains("/") })
        }
    }

    // MARK: The endpoint's last slash

    /// The upstream's endpoint is `/api/rpc`; every other spelling of it redirects there.
    private func redirecting() async throws -> FakeToolServer {
        try await FakeToolServer(other: { request in
            let path = request.path.split(separator: "?")[0]
            if path == "/api/rpc/" {
                let query = request.path.contains("?") ? "?" + request.path.split(separator: "?")[1] : ""
                return .empty(307, headers: [("Location", "/api/rpc" + query)])
            }
            if path == "/api/rpc/old" { return .empty(301, headers: [("Location", "new?a=1")]) }
            if path == "/api/rpc/out" { return .empty(302, headers: [("Location", "/login")]) }
            if path == "/api/rpc/away" { return .empty(302, headers: [("Location", "http://elsewhere.example/x")]) }
            guard request.headers.contains(name: "X-Forwarded-Proto") else { return nil }
            return .text("\(request.method) \(request.path) \(request.text)")
        }) { _ in .results([]) }
    }

    @Test(arguments: ["/api/rpc", "/api/rpc/"], ["/mcp", "/mcp/"]) func theEndpointIsReachedInBothSpellings(
        _ endpoint: String, _ path: String
    ) async throws {
        let upstream = try await redirecting()
        let changes: JSONObject = [
            "upstreams": [
                "tools": [
                    "url": .string(upstream.url + endpoint), "era": "legacy", "probeInterval": "60s", "trusted": true,
                ]
            ]
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            for body in ["first", "second"] {
                let response = try await test.send("POST", path + "?q=1", body: body)
                #expect(response.status == 200)
                #expect(response.text == "POST /api/rpc?q=1 \(body)")
            }
        }
    }

    @Test(
        arguments: [
            ("/mcp/old", "/mcp/new?a=1"), ("/mcp/out", "/login"), ("/mcp/away", "http://elsewhere.example/x"),
        ])
    func aRedirectNamesTheGatewaysOwnPath(_ path: String, _ location: String) async throws {
        let upstream = try await redirecting()
        let changes: JSONObject = [
            "upstreams": ["tools": ["url": .string(upstream.url + "/api/rpc"), "era": "legacy"]]
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            #expect(try await test.send("GET", path).headers.first(name: "Location") == location)
        }
    }

    // MARK: Calls that fail

    @Test func anUpstreamWhoseCallsFailIsShown() async throws {
        let fails = Mutex(true)
        let upstream = try await FakeToolServer { _ in
            fails.withLock { $0 } ? .response(.json("7")) : .results([])
        }
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            let search = #"{"type": "search_projects", "query": "x"}"#
            for _ in 0..<3 { #expect(try await test.chat(search).status == 502) }
            let ready = try await test.admin("/readyz")
            #expect(ready.status == 200)
            let tools = ready.json?["upstreams"]?["tools"]
            #expect(tools?["reachable"] == true)
            #expect(tools?["failing"] == true)
            #expect(tools?["problem"]?.string?.contains("the last 3 calls failed: invalid") == true)
            fails.withLock { $0 = false }
            #expect(try await test.chat(search).status == 200)
            #expect(try await test.admin("/readyz").json?["upstreams"]?["tools"]?["failing"] == false)
        }
    }

    @Test func aRevisionCanBeConfigured() throws {
        func read(_ changes: JSONObject) throws -> UpstreamConfiguration? {
            var upstream: JSONObject = ["url": "http://127.0.0.1:1/mcp"]
            for (key, value) in changes { upstream[key] = value }
            return try TestConfiguration.read(["upstreams": ["tools": .object(upstream)]]).upstreams.first
        }
        #expect(try read([:])?.protocolVersion == nil)
        #expect(try read(["protocolVersion": "2025-03-26"])?.protocolVersion == .v2025_03_26)
        #expect(try read(["protocolVersion": "2026-07-28", "era": "modern"])?.protocolVersion == .v2026_07_28)
        #expect(throws: (any Error).self) { try read(["protocolVersion": "2026-07-28", "era": "legacy"]) }
        #expect(throws: (any Error).self) { try read(["protocolVersion": "2025-03-27"]) }
        #expect(throws: (any Error).self) { try read(["protocolVersion": "2025-03-26", "kind": "chat"]) }
        #expect(try read([:])?.replays == 3)
        #expect(throws: (any Error).self) { try read(["replays": -1]) }
    }
}
