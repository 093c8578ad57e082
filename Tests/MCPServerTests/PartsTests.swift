import Crypto
import Foundation
import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPServer

@Suite("Session table")
struct SessionTableTests {
    private func session(_ id: String) -> Session { Session(id: id, facts: SessionMetadata(version: .v2025_11_25)) }

    @Test("the least recently used goes first")
    func leastRecentlyUsed() {
        let table = SessionTable(limit: 3, idle: .seconds(60))
        let start = ContinuousClock.now
        for id in ["a", "b", "c"] { #expect(table.insert(session(id), now: start).evicted.isEmpty) }
        #expect(table.find("a", now: start) != nil)
        #expect(table.insert(session("d"), now: start).evicted.map(\.id) == ["b"])
        #expect(table.remove("a")?.id == "a")
        #expect(table.remove("a") == nil)
        #expect(table.insert(session("e"), now: start).evicted.isEmpty)
        #expect(table.insert(session("f"), now: start).evicted.map(\.id) == ["c"])
        #expect(Set(table.all.map(\.id)) == ["d", "e", "f"])
    }

    @Test("a session with a call in flight outlives idle ones")
    func busyStays() throws {
        let table = SessionTable(limit: 2, idle: .seconds(60))
        let start = ContinuousClock.now
        let busy = session("busy")
        _ = table.insert(busy, now: start)
        _ = table.insert(session("idle"), now: start)
        let token = try busy.begin(1) {}
        #expect(table.insert(session("new"), now: start).evicted.map(\.id) == ["idle"])
        #expect(table.expire(now: start + .seconds(60)).map(\.id) == ["new"])
        busy.finish(1, token)
        #expect(table.expire(now: start + .seconds(119)).isEmpty)
        #expect(table.expire(now: start + .seconds(120)).map(\.id) == ["busy"])
        #expect(table.count == 0)
    }

    @Test("where every session is busy the new one is refused, and nothing is cancelled")
    func fullOfCalls() throws {
        let table = SessionTable(limit: 100, idle: .seconds(60))
        let start = ContinuousClock.now
        let cancelled = Mutex(0)
        for number in 0..<100 {
            let busy = session("busy \(number)")
            _ = table.insert(busy, now: start)
            _ = try busy.begin(1) { cancelled.withLock { $0 += 1 } }
        }
        for number in 0..<50 {
            let insertion = table.insert(session("new \(number)"), now: start)
            #expect(insertion.held == nil)
            #expect(insertion.evicted.isEmpty)
        }
        #expect(table.count == 100)
        #expect(cancelled.withLock { $0 } == 0)
    }

    @Test("a session chosen to go takes no call any more, so that none is cancelled")
    func noCallOnAnEndingSession() throws {
        let table = SessionTable(limit: 1, idle: .seconds(60))
        let old = session("old")
        _ = table.insert(old, now: .now)
        #expect(table.insert(session("new"), now: .now).evicted.map(\.id) == ["old"])
        #expect(throws: Session.RequestError.ended) { _ = try old.begin(1) { Issue.record("cancelled") } }
    }

    @Test("one caller's sessions beyond its share cost its own, not another's")
    func share() {
        func session(_ id: String, of owner: String) -> Session {
            Session(id: id, facts: SessionMetadata(version: .v2025_11_25, owner: owner))
        }
        let table = SessionTable(limit: 100, ownerLimit: 3, idle: .seconds(60))
        let start = ContinuousClock.now
        _ = table.insert(session("other", of: "b"), now: start)
        for number in 1...3 { _ = table.insert(session("a\(number)", of: "a"), now: start + .seconds(number)) }
        #expect(table.insert(session("a4", of: "a"), now: start + .seconds(9)).evicted.map(\.id) == ["a1"])
        // Composed and decomposed, equal to Unicode alone: two callers.
        for number in 1...3 { _ = table.insert(session("c\(number)", of: "caf\u{E9}"), now: start) }
        #expect(table.insert(session("d1", of: "cafe\u{301}"), now: start).evicted.isEmpty)
        #expect(table.find("other", now: start) != nil)
    }

    @Test("ten thousand idle sessions cost at most 4 KiB each", .enabled(if: residentBytes() != nil))
    func memory() throws {
        let http = StreamableHTTP(
            server: try Fixture().server,
            configuration: StreamableHTTPConfiguration(
                sessionLimit: 20_000, ownerSessionLimit: 20_000, tick: .zero))
        let before = try #require(residentBytes())
        for _ in 0..<10_000 { _ = http.openSession(principal: alice) }
        let after = try #require(residentBytes())
        #expect(http.sessionCount == 10_000)
        #expect((after - before) / 10_000 <= 4096)
    }
}

/// Resident memory of this process, where the kernel tells.
func residentBytes() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
    return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 4096 }
}

@Suite("Event store")
struct EventStoreTests {
    @Test("the bound holds over all streams, the oldest event goes first, streams stay apart")
    func bound() {
        let store = EventStore(maximumBytes: 30)
        let (a, b) = (EventStore.StreamKey(session: 1, stream: 1), EventStore.StreamKey(session: 2, stream: 1))
        for number in UInt32(1)...3 { store.append([UInt8](repeating: 1, count: 10), number: number, to: a) }
        store.append([UInt8](repeating: 2, count: 10), number: 1, to: b)
        #expect(store.bytes == 30)
        #expect(store.events(of: a, after: 0).count == 2)
        #expect(store.events(of: a, after: 2).count == 1)
        #expect(store.events(of: b, after: 0) == [[UInt8](repeating: 2, count: 10)])
        store.append([UInt8](repeating: 3, count: 31), number: 2, to: b)
        #expect(store.bytes == 30)
        store.remove(a)
        #expect(store.bytes == 10)
        #expect(store.events(of: a, after: 0).isEmpty)
    }

    @Test("a full store gives up the oldest of very many events in one stream one by one")
    func manyEvents() {
        let store = EventStore(maximumBytes: 200_000)
        let key = EventStore.StreamKey(session: 1, stream: 1)
        for number in UInt32(1)...300_000 { store.append([0], number: number, to: key) }
        #expect(store.bytes == 200_000)
        #expect(store.events(of: key, after: 299_990).count == 10)
    }

    @Test("many short streams leave nothing behind")
    func churn() {
        let store = EventStore(maximumBytes: 1000)
        for number in UInt64(0)..<5000 {
            let key = EventStore.StreamKey(session: number, stream: 1)
            for event in UInt32(1)...3 { store.append([0, 1, 2], number: event, to: key) }
            if number % 2 == 0 { store.remove(key) }
            #expect(store.bytes <= 1000)
        }
    }
}

@Suite("Call limiter")
struct CallLimiterTests {
    @Test("calls beyond the bound wait, are refused beyond the queue, and can give up")
    func bounds() async throws {
        let gate = Gate()
        let running = Mutex((now: 0, most: 0))
        let fixture = try Fixture(
            server: MCPServerConfiguration(maximumConcurrentCalls: 2, maximumWaitingCalls: 100),
            tools: [
                ScriptedTool("waits") { _, _ in
                    running.withLock {
                        $0.now += 1; $0.most = max($0.most, $0.now)
                    }
                    defer { running.withLock { $0.now -= 1 } }
                    try await gate.wait()
                    return .text("done")
                }
            ])
        let calls = (0..<20).map { number in
            Task { try await fixture.modern("tools/call", ["name": "waits"], id: .integer(Int64(number))) }
        }
        calls[7].cancel()
        gate.open()
        var done = 0
        for call in calls where try await call.value.result["content"] != nil { done += 1 }
        #expect(done >= 19)
        #expect(running.withLock { $0.most } <= 2)
        #expect(fixture.server.limiter.running == 0)
    }

    @Test("a full queue refuses")
    func overload() async throws {
        let limiter = CallLimiter(limit: 1, queueLimit: 0)
        try await limiter.enter()
        await #expect(throws: CallLimiter.AdmissionError.overloaded) { try await limiter.enter() }
        limiter.leave()
        try await limiter.enter()
        limiter.leave()
        #expect(limiter.running == 0)
    }
}

@Suite("Header mirroring")
struct HeaderMirrorTests {
    static let schema: JSONValue = [
        "type": "object",
        "properties": [
            "region": ["type": "string", "x-mcp-header": "Region"]
        ],
    ]

    @Test("a call whose headers are not as its arguments is -32020 with 400")
    func wire() async throws {
        let fixture = try Fixture(tools: [ScriptedTool("regional", input: Self.schema) { _, _ in .text("ok") }])
        let call: JSONObject = ["name": "regional", "arguments": ["region": "eu"]]
        let missing = try await fixture.modern("tools/call", call)
        #expect(missing.status == 400)
        #expect(missing.code == -32020)
        let right = try await fixture.modern("tools/call", call, headers: ["Mcp-Param-Region": "eu"])
        #expect(right.status == 200)
    }
}

@Suite("Small parts")
struct SmallPartsTests {
    @Test("a client that takes only event streams gets its answer as one")
    func streamOnly() async throws {
        let fixture = try Fixture()
        for method in ["tools/list", "tools/call"] {
            let reply = try await fixture.modern(
                method, ["name": "echo", "arguments": ["message": "x"]], headers: ["Accept": "text/event-stream"])
            #expect(reply.isStream)
            #expect(reply.result["resultType"] == "complete")
        }
        let client = try await fixture.initialize(.v2025_11_25)
        var headers = client.headers
        headers["Accept"] = "text/event-stream"
        let reply = try await Reply(
            await fixture.post(JSONRPCRequest(id: 1, method: "ping").json, headers: headers))
        #expect(reply.isStream)
        #expect(reply.result == [:])
    }

    @Test("a slow reader holds the producer back, an absent one does not")
    func backpressure() async throws {
        let stream = MCPResponseStream()
        stream.push([UInt8](repeating: 0, count: MCPResponseStream.highWater + 1))
        let released = OneShot<Void>()
        let producer = Task {
            await stream.room()
            released.set(())
        }
        #expect(await stream.next()?.count == MCPResponseStream.highWater + 1)
        await released.value()
        await producer.value
        stream.push([UInt8](repeating: 0, count: MCPResponseStream.highWater + 1))
        stream.abandon()
        await stream.room()
        #expect(!stream.push([1]))
        #expect(await stream.next() == nil)
    }

    @Test("tools with a bad schema are refused at registration")
    func registration() throws {
        let fixture = try Fixture()
        for schema in [
            ["type": "string"], ["type": "object", "$ref": "https://example.com/x"],
            ["type": "object", "properties": ["a": ["type": "number", "x-mcp-header": "A"]]],
        ] as [JSONValue] {
            #expect(throws: RegistrationError.self) {
                try fixture.server.register(tool: ScriptedTool("bad", input: schema) { _, _ in .text("") })
            }
        }
    }

    @Test("typed tools derive their schemas, plain callers get typed refusals")
    func typed() async throws {
        let fixture = try Fixture()
        let definition = try #require(fixture.server.toolDefinitions(for: nil).first)
        #expect(definition.inputSchema["properties"]?["message"]?["type"] == "string")
        #expect(definition.inputSchema["required"] == ["message"])
        #expect(definition.outputSchema?["properties"]?["Echo"] != nil)
        let result = try await fixture.server.call(tool: "echo", arguments: ["message": "x"], principal: nil)
        #expect(result.structuredContent == ["Echo": "x"])
        await #expect(throws: ToolCallError.unknownTool("none")) {
            try await fixture.server.call(tool: "none", arguments: [:], principal: nil)
        }
        let refusal = await #expect(throws: ToolCallError.self) {
            try await fixture.server.call(tool: "echo", arguments: [:], principal: nil)
        }
        #expect(refusal?.description.contains("message") == true)
    }

    @Test("a body that is no JSON-RPC goes to the fallback")
    func foreignBody() async throws {
        let fixture = try Fixture()
        let response = await fixture.http.handle(
            MCPHTTPRequest(method: "POST", body: Array(#"{"command":"echo"}"#.utf8))
        ) { _, object in object["command"] == "echo" ? .json([0x31]) : nil }
        #expect(response.status == 200)
        #expect(await fixture.post(["command": "other"]).status == 400)
    }

    @Test("the schema check finds what is wrong", .enabled(if: SchemaCheck.isAvailable))
    func schemaCheck() {
        #expect(throws: TestFailure.self) {
            try SchemaCheck.check(["result": ["tools": [["name": 7]]]], answering: "tools/list", .v2025_11_25)
        }
    }
}
