import JSON
import MCP
import ProcessMemory
import TestSupport
import Testing

@testable import MCPServer

/// What stored events and streams draw from the process's memory budget, and that all of it goes back.
@Suite("Memory budget")
struct MemoryTests {
    private let budget = MemoryBudget(limit: 1 << 20)

    private func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x78, count: count) }

    @Test("stored events draw what they have, until they are dropped, removed or forgotten")
    func eventStore() {
        var store: EventStore? = EventStore(maximumBytes: 1000, memory: budget)
        let (a, b) = (EventStore.StreamKey(session: 1, stream: 1), EventStore.StreamKey(session: 1, stream: 2))
        for number in UInt32(1)...20 { store?.append(bytes(100), number: number, to: number % 2 == 0 ? a : b) }
        #expect(store?.bytes == 1000)
        #expect(budget.statistics.used == 1000)
        store?.remove(a)
        #expect(budget.statistics.used == 500)
        store = nil
        #expect(budget.statistics.used == 0)
    }

    @Test("where the budget has no room, older events make it, or the new one is not stored")
    func eventStoreWithoutRoom() {
        let store = EventStore(maximumBytes: 1 << 20, memory: budget)
        let key = EventStore.StreamKey(session: 1, stream: 1)
        store.append(bytes(1000), number: 1, to: key)
        #expect(budget.draw(budget.limit - 1500))
        store.append(bytes(800), number: 2, to: key)
        #expect(store.events(of: key, after: 0).map(\.count) == [800])
        store.append(bytes(600), number: 3, to: key)
        #expect(store.events(of: key, after: 0).map(\.count) == [800, 600])
        #expect(budget.statistics.used == budget.limit - 100)
        #expect(budget.draw(100))
        store.append(bytes(2000), number: 4, to: key)
        #expect(store.bytes == 0)
        #expect(budget.statistics.used == budget.limit - 1400)
    }

    @Test("a reader for whose arrears there is no room loses its stream")
    func arrears() {
        let stream = MCPResponseStream(memory: budget)
        #expect(stream.push(bytes(500 << 10)))
        #expect(budget.statistics.used == 512 << 10)
        #expect(stream.push(bytes(500 << 10)))
        #expect(!stream.push(bytes(100 << 10)))
        #expect(!stream.isOpen)
        #expect(budget.statistics.used == 0)
        #expect(budget.statistics.refusals == 1)
    }

    @Test("a single message of any size is delivered")
    func singleMessage() async {
        let stream = MCPResponseStream(memory: budget)
        #expect(stream.push(bytes(MCPResponseStream.hardLimit * 2)))
        #expect(budget.statistics.used == MCPResponseStream.hardLimit * 2)
        #expect(stream.push(bytes(1)) == false, "but a reader that has not taken it is behind")
        #expect(budget.statistics.used == 0)
        let next = MCPResponseStream(memory: budget)
        next.push(bytes(MCPResponseStream.hardLimit * 2))
        #expect(await next.next()?.count == MCPResponseStream.hardLimit * 2)
        #expect(budget.statistics.used == 0)
        #expect(next.push(bytes(1)))
    }

    /// Arguments whose values take about half of the budget.
    private static let wide: JSONObject = [
        "message": "x", "wide": .array(Array(repeating: .array([]), count: 4000)),
    ]

    private func fixture(tools: [any Tool] = []) throws -> Fixture {
        var configuration = MCPServerConfiguration()
        configuration.memory = budget
        return try Fixture(server: configuration, tools: tools)
    }

    @Test("the values of a request are held until its tool has ended, even if its client has left")
    func values() async throws {
        let gate = Gate()
        let fixture = try fixture(tools: [
            ScriptedTool("waits") { _, _ in
                try await gate.wait()
                return .text("done")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        let call: JSONObject = ["name": "waits", "arguments": .object(Self.wide)]
        let leaving = Task { await client.start("tools/call", call) }
        #expect(await eventually { budget.statistics.used > 500_000 })
        leaving.cancel()
        _ = await leaving.value
        #expect(budget.statistics.used > 500_000)
        // There is no room for another one.
        let refused = await fixture.post(
            Fixture.modernBody("tools/call", call), headers: Fixture.modernHeaders("tools/call", call))
        #expect(refused.status == 503)
        #expect(refused.headers.contains { $0 == ("Retry-After", "1") })
        #expect(try await client.call("ping", id: 3).result == [:])
        gate.open()
        #expect(await eventually { budget.statistics.used == 0 })
        let echoed = try await fixture.modern("tools/call", ["name": "echo", "arguments": .object(Self.wide)])
        #expect(echoed.result["structuredContent"] == ["Echo": "x"])
        #expect(await eventually { budget.statistics.used == 0 })
    }

    @Test("subscriptions draw all of their URIs until they end")
    func subscriptions() async throws {
        let fixture = try fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        let uris = (0..<100).map { "test://\($0)/" + String(repeating: "u", count: 8000) }
        for uri in uris { _ = try await client.call("resources/subscribe", ["uri": .string(uri)]) }
        // The same one once more costs nothing.
        _ = try await client.call("resources/subscribe", ["uri": .string(uris[0])])
        #expect(budget.statistics.used == uris.reduce(0) { $0 + $1.utf8.count })
        let long = try await client.call("resources/subscribe", ["uri": .string(uris[0] + uris[1])])
        #expect(long.code == -32602)
        #expect(budget.draw(budget.limit - budget.statistics.used - 100))
        let refused = try await client.call(
            "resources/subscribe", ["uri": .string("test://more/" + String(repeating: "u", count: 200))])
        #expect(refused.code == -32603)
        _ = try await client.call("resources/unsubscribe", ["uri": .string(uris[0])])
        _ = try await client.call("resources/unsubscribe", ["uri": .string(uris[0])])
        #expect(budget.statistics.used == budget.limit - 100 - uris[0].utf8.count)
        _ = await client.delete()
        #expect(
            await eventually { budget.statistics.used == budget.limit - 100 - uris.reduce(0) { $0 + $1.utf8.count } })
        let filter: JSONObject = ["notifications": ["resourceSubscriptions": [.string(uris[0] + uris[1])]]]
        let listened = await fixture.post(
            Fixture.modernBody("subscriptions/listen", filter), headers: Fixture.modernHeaders("subscriptions/listen"))
        #expect(listened.status == 400)
    }

    @Test("what nobody fetched goes back with the stream")
    func unfetched() {
        var stream: MCPResponseStream? = MCPResponseStream(memory: budget)
        stream?.push(bytes(100 << 10))
        stream?.close()
        #expect(budget.statistics.used == 128 << 10)
        stream = nil
        #expect(budget.statistics.used == 0)
    }
}
