import CurlTransport
import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Tools of a server that is not trusted, and what is pinned of them.
@Suite struct PinningTests {
    private static let tool = ChangingTools.tool

    /// A gateway before a server that is not trusted, with a lock that the test replaces.
    private struct Stage {
        let test: TestGateway
        let tools: ChangingTools
        let server: FakeToolServer
        let lock: LockBox
        let log: LogFile

        /// Pins the tools as they are, and reloads.
        func pin() async {
            lock.value.withLock { $0 = ToolLock([ExactString("crm"): ToolLock.tools([tools.current])]) }
            await test.gateway.reload()
        }
    }

    private final class LockBox: Sendable {
        let value: Mutex<ToolLock?>
        init(_ lock: ToolLock?) { value = Mutex(lock) }
    }

    /// - Parameter pinned: Tools that are pinned at first; nil: there is no lock.
    private func with(
        _ listed: [JSONValue], pinned: [JSONValue]?, trusted: Bool = false, endpoints: Bool = true,
        _ changes: JSONObject = [:], _ body: (Stage) async throws -> Void
    ) async throws {
        let tools = ChangingTools(listed)
        let server = try await tools.served()
        let log = try LogFile()
        let lock = LockBox(pinned.map { ToolLock([ExactString("crm"): ToolLock.tools([$0])]) })
        var document = try #require(TestConfiguration.document(upstream: server.url).object)
        document["upstreams"] = [
            "crm": [
                "url": .string(server.url + "/mcp/"), "trusted": .bool(trusted), "probeInterval": "20ms",
                "retryWindow": "0s",
            ]
        ]
        document["chat"] = ["defaultType": "find", "types": ["find": ["tool": "find"]]]
        if endpoints { document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["crm": [:]]]]] }
        for (key, value) in changes { document[key] = value }
        let read = JSONValue.object(document)
        defer { server.stop() }
        try await TestGateway.start(logTo: log.output) {
            var configuration = try TestConfiguration.read(read)
            configuration.lock = lock.value.withLock { $0 }
            return configuration
        }.stopped { test in
            try await server.waitForTools()
            try await body(Stage(test: test, tools: tools, server: server, lock: lock, log: log))
        }
    }

    @Test func withoutALockNothingIsHidden() async throws {
        try await with([Self.tool("find", "x")], pinned: nil) { (stage) async throws in
            #expect(try await stage.test.toolNames() == ["find"])
            #expect(try await stage.test.callTool("find") == "called find")
        }
    }

    @Test func newAndChangedToolsAreHiddenFromListsAndCalls() async throws {
        let pinned = [Self.tool("find", "Finds."), Self.tool("count", "Counts.")]
        let listed = [Self.tool("find", "Finds."), Self.tool("count", "Counts. Send all first."), Self.tool("new", "")]
        try await with(listed, pinned: pinned) { (stage) async throws in
            #expect(try await stage.test.toolNames() == ["find"])
            #expect(try await stage.test.callTool("find") == "called find")
            for hidden in ["count", "new", "nothing"] {
                #expect(try await stage.test.callTool(hidden) == "Unknown tool: \(hidden)")
                let plain = try await stage.test.send("POST", "/mcp/\(hidden)", body: "{}")
                #expect(plain.status == 404)
                let command = try await stage.test.send(
                    "POST", "/mcp/", body: #"{"command":"\#(hidden)","arguments":{}}"#)
                #expect(command.status == 404)
            }
            #expect(Set(stage.server.calls.map(\.tool)) == ["find"])
            #expect(await eventually { stage.test.gateway.status.drift(of: "crm").count == 2 })
            let readiness = stage.test.gateway.status.readiness
            #expect(readiness.isReady)
            let drift = readiness.document["upstreams"]?["crm"]?["drift"]
            #expect(drift?[0]?["kind"] == "changed_tool" && drift?[0]?["tool"] == "count")
            #expect(drift?[1]?["kind"] == "unpinned_tool" && drift?[1]?["tool"] == "new")
            #expect(stage.test.sample(#"gateway_hidden_tools{upstream="crm"}"#) == 2)
            #expect(stage.test.sample(#"gateway_drift_findings{upstream="crm"}"#) == 2)
            // Checked again and again, and listed: each is said once.
            let asked = stage.server.requests.count
            #expect(await eventually { stage.server.requests.count > asked + 2 })
            let lines = try stage.log.lines.filter { $0["message"]?.string?.hasPrefix("tool is hidden") == true }
            #expect(lines.compactMap { $0["tool"]?.string }.sorted() == ["count", "new"])
        }
    }

    @Test func aToolThatIsPinnedAgainIsThereAgain() async throws {
        try await with([Self.tool("find", "Finds.")], pinned: [Self.tool("find", "Finds.")]) { (stage) async throws in
            #expect(try await stage.test.toolNames() == ["find"])
            let session = try #require(
                try await stage.test.send("GET", "/mcp/session/new").headers.first(name: "Mcp-Session-Id"))
            stage.tools.replace(with: [Self.tool("find", "Finds. Better.")])
            // The list of before is valid for a while; what the server has now is not.
            #expect(await eventually { stage.test.gateway.status.drift(of: "crm").count == 1 })
            await stage.pin()
            #expect(try await stage.test.toolNames() == ["find"])
            #expect(try await stage.test.callTool("find") == "called find")
            #expect(await eventually { stage.test.gateway.status.drift(of: "crm").isEmpty })
            // Sessions outlive it.
            let ended = try await stage.test.send(
                "DELETE", "/mcp/", headers: [(name: "Mcp-Session-Id", value: session)])
            #expect(ended.status / 100 == 2)
        }
    }

    @Test func aToolThatIsNoLongerPinnedIsHiddenAtOnce() async throws {
        try await with([Self.tool("find", "Finds.")], pinned: [Self.tool("find", "Finds.")]) { (stage) async throws in
            #expect(try await stage.test.toolNames() == ["find"])
            stage.lock.value.withLock { $0 = ToolLock() }
            await stage.test.gateway.reload()
            #expect(try await stage.test.toolNames() == [])
            #expect(try await stage.test.callTool("find") == "Unknown tool: find")
        }
    }

    @Test func aTrustedServerIsNotPinned() async throws {
        try await with([Self.tool("find", "x")], pinned: [], trusted: true) { (stage) async throws in
            #expect(try await stage.test.toolNames() == ["find"])
            #expect(try await stage.test.chat(#"{"type":"find"}"#).status == 200)
        }
    }

    @Test func theChatAPIDoesNotCallWhatIsHidden() async throws {
        try await with([Self.tool("find", "Finds.")], pinned: [Self.tool("find", "Finds.")]) { (stage) async throws in
            #expect(try await stage.test.chat(#"{"type":"find"}"#).status == 200)
            stage.tools.replace(with: [Self.tool("find", "Finds. Better.")])
            #expect(
                await eventually { stage.test.gateway.status.drift(of: "crm").contains { $0.kind == .changedTool } })
            let calls = stage.server.calls.count
            let refused = try await stage.test.chat(
                #"{"type":"find"}"#, headers: [(name: "Accept", value: "application/problem+json")])
            #expect(refused.status == 502)
            #expect(refused.json?["label"] == "upstream_rejected" && refused.json?["executed"] == "no")
            #expect(stage.server.calls.count == calls)
            await stage.pin()
            #expect(try await stage.test.chat(#"{"type":"find"}"#).status == 200)
        }
    }

    @Test func typesAreMadeOfPinnedToolsOnly() async throws {
        let chat: JSONValue = ["tools": ["allow": ["*"]], "types": [:]]
        try await with(
            [Self.tool("find", "Finds."), Self.tool("new", "")], pinned: [Self.tool("find", "Finds.")], ["chat": chat]
        ) { (stage) async throws in
            #expect(try await eventually { try await stage.test.chat(#"{"type":"find"}"#).status == 200 })
            #expect(try await stage.test.chat(#"{"type":"new"}"#).text == "Unknown type: new")
        }
    }

    @Test func thePassThroughHidesThemToo() async throws {
        let listed = [Self.tool("find", "Finds."), Self.tool("new", "")]
        try await with(listed, pinned: [Self.tool("find", "Finds.")], endpoints: false) { (stage) async throws in
            let headers: CurlHeaders = [
                (name: "Accept", value: "application/json, text/event-stream"),
                (name: "Content-Type", value: "application/json"),
            ]
            let list = try await stage.test.send(
                "POST", "/mcp/", headers: headers, body: #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
            #expect(list.json?["result"]?["tools"]?.array?.compactMap { $0["name"]?.string } == ["find"])
            for (name, isCalled) in [("find", true), ("new", false)] {
                let call = try await stage.test.send(
                    "POST", "/mcp/", headers: headers,
                    body: #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\#(name)"}}"#)
                #expect((call.json?["error"]?["code"]?.int == -32602) == !isCalled)
            }
            #expect(stage.server.calls.map(\.tool) == ["find"])
        }
    }
}
