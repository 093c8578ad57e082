import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPServer

@Suite("Legacy streams")
struct StreamTests {
    /// Emits one step, waits, emits another, ends.
    static func stepping(_ gate: Gate) -> ScriptedTool {
        ScriptedTool("steps") { _, context in
            await context.progress(1)
            try await gate.wait()
            await context.progress(2)
            return .text("done")
        }
    }

    static let call: JSONObject = ["name": "steps", "_meta": ["progressToken": "t"]]

    @Test("a dropped connection cancels nothing, and the rest is fetched with Last-Event-ID")
    func resumption() async throws {
        let gate = Gate()
        let fixture = try Fixture(tools: [Self.stepping(gate)])
        let client = try await fixture.initialize(.v2025_11_25)
        let first = try StreamClient(await client.start("tools/call", Self.call))
        let priming = try #require(try await first.event())
        #expect(priming.data.isEmpty)
        #expect(priming.id != nil)
        #expect(priming.retry == 1000)
        let step = try #require(try await first.event())
        let id = try #require(step.id)
        first.leave()
        gate.open()
        let second = try StreamClient(await client.get(lastEventID: id))
        #expect(try await second.message()?["params"]?["progress"] == 2)
        #expect(try await second.message()?["result"]?["content"]?[0]?["text"] == "done")
        #expect(try await second.event() == nil)
        // The same again from the priming event: everything, once.
        let third = try StreamClient(await client.get(lastEventID: priming.id))
        #expect(try await third.message()?["params"]?["progress"] == 1)
        #expect(try await third.message()?["params"]?["progress"] == 2)
        #expect(try await third.message()?["id"] == 2)
    }

    @Test("priming events exist in 2025-11-25 only", arguments: [MCPVersion.v2025_03_26, .v2025_06_18])
    func noPriming(version: MCPVersion) async throws {
        let gate = Gate()
        gate.open()
        let fixture = try Fixture(tools: [Self.stepping(gate)])
        let reply = try await fixture.initialize(version).call("tools/call", Self.call)
        #expect(reply.messages.count == 3)
        #expect(reply.events.allSatisfy { !$0.data.isEmpty && $0.id != nil })
        #expect(Set(reply.events.compactMap(\.id)).count == 3)
    }

    @Test("an event id of another session, or of none, is refused")
    func foreignEventID() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        for id in ["7-1", "x", "", "1-1-1", "-1-1"] { #expect(await client.get(lastEventID: id).status == 400) }
    }

    @Test("ended streams can be fetched for a while, then no more")
    func window() async throws {
        let gate = Gate()
        gate.open()
        let fixture = try Fixture(tools: [Self.stepping(gate)])
        let client = try await fixture.initialize(.v2025_11_25)
        let reply = try await client.call("tools/call", Self.call)
        let id = try #require(reply.events.first?.id)
        #expect(await client.get(lastEventID: id).status == 200)
        #expect(fixture.http.pools.anonymous.store.bytes > 0)
        fixture.http.tick(now: .now + .seconds(301))
        #expect(await client.get(lastEventID: id).status == 400)
        #expect(fixture.http.pools.anonymous.store.bytes == 0)
    }

    @Test("a tool may send its client away to come back for the rest")
    func releasedConnection() async throws {
        let gate = Gate()
        let fixture = try Fixture(tools: [
            ScriptedTool("releases") { _, context in
                context.releaseConnection()
                try await gate.wait()
                return .text("done")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        let first = try StreamClient(await client.start("tools/call", ["name": "releases"]))
        let priming = try #require(try await first.event())
        while try await first.event() != nil {}
        let second = try StreamClient(await client.get(lastEventID: priming.id))
        gate.open()
        #expect(try await second.message()?["result"]?["content"]?[0]?["text"] == "done")
    }

    @Test("list changes and resource updates reach the GET stream of those who asked, once")
    func announcements() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        let other = try await fixture.initialize(.v2025_11_25)
        let old = try StreamClient(await client.get())
        let new = try StreamClient(await client.get())
        let others = try StreamClient(await other.get())
        _ = try await client.call("resources/subscribe", ["uri": "test://1"])
        fixture.server.announce(.resource(uri: "test://1"))
        fixture.server.announce(.resource(uri: "test://2"))
        try fixture.server.register(tool: Echo())
        #expect(try await new.message()?["params"]?["uri"] == "test://1")
        #expect(try await new.message()?["method"] == "notifications/tools/list_changed")
        #expect(try await others.message()?["method"] == "notifications/tools/list_changed")
        _ = try await client.call("resources/unsubscribe", ["uri": "test://1"])
        fixture.server.announce(.resource(uri: "test://1"))
        #expect(await client.delete().status == 204)
        #expect(try await new.message() == nil)
        #expect(try await old.message() == nil)
    }

    @Test("GET needs a session and Accept: text/event-stream")
    func getChecks() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        func status(_ headers: MCPHTTPHeaders) async -> Int {
            await fixture.http.handle(MCPHTTPRequest(method: "GET", headers: headers)).status
        }
        #expect(await status(["Accept": "text/event-stream"]) == 400)
        #expect(await status(["Accept": "application/json", "Mcp-Session-Id": client.session]) == 406)
        #expect(await status(["Accept": "text/event-stream", "Mcp-Session-Id": "no"]) == 404)
        #expect(await fixture.http.handle(MCPHTTPRequest(method: "PUT")).status == 405)
    }

    @Test("an ended session cancels its calls and ends its streams")
    func endedSession() async throws {
        let gate = Gate()
        let fixture = try Fixture(tools: [Self.stepping(gate)])
        let client = try await fixture.initialize(.v2025_06_18)
        let stream = try StreamClient(await client.start("tools/call", Self.call))
        _ = try await stream.message()
        #expect(await client.delete().status == 204)
        #expect(try await stream.message() == nil)
    }

    @Test("sessions are bounded in number and idle time; a busy one stays")
    func bounds() async throws {
        let fixture = try Fixture(
            configuration: StreamableHTTPConfiguration(
                sessionLimit: 2, anonymousSessionLimit: 2, sessionIdle: .seconds(60), tick: .zero))
        let first = try await fixture.initialize(.v2025_11_25)
        let second = try await fixture.initialize(.v2025_11_25)
        #expect(try await first.call("ping").status == 200)
        let third = try await fixture.initialize(.v2025_11_25)
        #expect(try await second.call("ping").status == 404)
        #expect(try await first.call("ping").status == 200)
        let listener = try StreamClient(await third.get())
        fixture.http.tick(now: .now + .seconds(61))
        #expect(fixture.http.sessionCount == 1)
        #expect(try await third.call("ping").status == 200)
        listener.leave()
    }

    @Test("anonymous sessions never end a known caller's, and are refused with 503 where all are busy")
    func classes() async throws {
        let fixture = try Fixture(
            configuration: StreamableHTTPConfiguration(
                sessionLimit: 2, anonymousSessionLimit: 3, sessionIdle: .seconds(60), tick: .zero))
        let known = Fixture.LegacyClient(
            fixture: fixture, session: try #require(fixture.http.openSession(principal: alice)), version: .v2025_11_25,
            principal: alice)
        for _ in 0..<20 { #expect(fixture.http.openSession(principal: nil) != nil) }
        #expect(try await known.call("ping").status == 200)
        #expect(fixture.http.sessionCount == 4)

        var listeners: [StreamClient] = []
        for _ in 0..<3 {
            let id = try #require(fixture.http.openSession(principal: nil))
            let client = Fixture.LegacyClient(fixture: fixture, session: id, version: .v2025_11_25, principal: nil)
            listeners.append(try StreamClient(await client.get()))
        }
        #expect(fixture.http.openSession(principal: nil) == nil)
        let refused = await fixture.post(
            [
                "jsonrpc": "2.0", "id": 9, "method": "initialize",
                "params": [
                    "protocolVersion": "2025-11-25", "capabilities": [:],
                    "clientInfo": ["name": "test", "version": "1"],
                ],
            ])
        #expect(refused.status == 503)
        #expect(refused.headers.contains { $0.0 == "Retry-After" })
        guard case .whole(_, _, let body) = refused else { Issue.record("a stream"); return }
        let answer = try JSONValue(parsing: body)
        #expect(answer["id"] == 9)
        #expect(answer["error"]?["code"] == -32603)
        #expect(try await known.call("ping").status == 200)
        for listener in listeners { listener.leave() }
    }

    @Test("a ready session needs no handshake")
    func readySession() async throws {
        let fixture = try Fixture()
        let id = try #require(fixture.http.openSession(principal: alice))
        let client = Fixture.LegacyClient(fixture: fixture, session: id, version: .v2025_11_25, principal: alice)
        #expect(try await client.call("tools/list").status == 200)
    }

    @Test("subscriptions/listen acknowledges first, filters, tags, and ends with its result")
    func listen() async throws {
        let fixture = try Fixture()
        let params: JSONObject = [
            "notifications": ["toolsListChanged": true, "resourceSubscriptions": ["test://1"]]
        ]
        let response = await fixture.post(
            Fixture.modernBody("subscriptions/listen", params, id: "sub"),
            headers: Fixture.modernHeaders("subscriptions/listen"))
        let stream = try StreamClient(response)
        fixture.server.announce(.prompts)
        fixture.server.announce(.resource(uri: "test://2"))
        fixture.server.announce(.resource(uri: "test://1"))
        fixture.server.announce(.tools)
        fixture.http.shutdown()
        var messages: [JSONValue] = []
        while let message = try await stream.message() {
            try SchemaCheck.check(message, answering: "subscriptions/listen", .v2026_07_28)
            messages.append(message)
        }
        #expect(
            messages.map { $0["method"]?.string } == [
                "notifications/subscriptions/acknowledged", "notifications/resources/updated",
                "notifications/tools/list_changed", nil,
            ])
        #expect(messages[0]["params"]?["notifications"] == params["notifications"])
        for message in messages {
            let meta = message["params"]?["_meta"] ?? message["result"]?["_meta"]
            #expect(meta?[MCPMeta.subscriptionID] == "sub")
        }
    }
}
