import CurlTransport
import JSON
import MCP
import NIOCore
import ProcessMemory
import TestSupport
import Testing

@testable import MCPClient

/// What answers and lists of tools draw from the process's memory budget, and that all of it goes back.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct MemoryTests {
    private static let kibibyte = 1024
    private let budget = MemoryBudget(limit: 1 << 20)

    // MARK: Reading in pieces

    private func reader(_ type: String) -> MessageResponseReader {
        var reader = MessageResponseReader(id: 31, limit: 16 << 20, memory: budget)
        reader.head(status: 200, headers: [(name: "Content-Type", value: type)])
        return reader
    }

    private func piece(_ kibibytes: Int, _ beginning: String = "") -> ByteBuffer {
        ByteBuffer(string: beginning + String(repeating: "x", count: kibibytes * Self.kibibyte))
    }

    @Test func anUnfinishedEventIsHeldUntilItIsRead() {
        var reader = reader("text/event-stream")
        let beginning = #"data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":""#
        #expect(reader.chunk(piece(200, beginning)).isEmpty)
        #expect(budget.statistics.used == 256 * Self.kibibyte)
        #expect(reader.chunk(ByteBuffer(string: "\"}}\n\n")).count == 1)
        #expect(!reader.isAnswered)
        #expect(budget.statistics.used == 0)
        #expect(!reader.isStarved)
    }

    @Test(arguments: ["text/event-stream", "application/json"]) func anAnswerWithoutRoomIsReadNoFurther(_ type: String)
    {
        var reader = reader(type)
        let beginning = type == "application/json" ? "{" : "data: "
        #expect(reader.chunk(piece(512, beginning)).isEmpty)
        #expect(!reader.isStarved)
        #expect(reader.chunk(piece(600)).isEmpty)
        #expect(reader.isStarved)
        #expect(!reader.isAnswered)
        #expect(budget.statistics.used == 0)
    }

    @Test func aNotificationWhoseValuesHaveNoRoomIsReadNoFurther() {
        var reader = reader("text/event-stream")
        let values = String(repeating: "[],", count: 30_000)
        let text = #"data: {"jsonrpc":"2.0","method":"m","params":{"a":[\#(values)1]}}"# + "\n\n"
        #expect(reader.chunk(ByteBuffer(string: text)).isEmpty)
        #expect(reader.isStarved)
        #expect(budget.statistics.used == 0)
    }

    @Test func whatAnAnswerHasDrawnGoesWithIt() throws {
        var reader = reader("text/event-stream")
        _ = reader.chunk(piece(200, #"data: {"jsonrpc":"2.0","id":31,"result":{"text":""#))
        guard case .answer? = reader.chunk(ByteBuffer(string: "\"}}\n\n")).last else {
            Issue.record("no answer")
            return
        }
        var reservation = reader.takeReservation()
        #expect(reservation?.bytes == 256 * Self.kibibyte)
        #expect(reader.reservation == nil)
        reservation = nil
        #expect(budget.statistics.used == 0)
    }

    // MARK: Calls

    /// Answers calls with a text of that many bytes.
    private func server(_ size: Int, events: Bool) -> FakeMCPServer.Rules {
        MCPCallerTests.rules { rules in
            rules.call = { _, message in
                let text = String(repeating: "x", count: size)
                let body = #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),"result":{"text":"\#(text)"}}"#
                guard events else { return .json(body) }
                return .events([(.zero, "data: \(body)\n\n")])
            }
        }
    }

    @Test(arguments: [false, true]) func aResultIsHeldAsLongAsSomebodyHasIt(_ events: Bool) async throws {
        try await MCPCallerTests().with(server(300 * Self.kibibyte, events: events), change: { $0.memory = budget }) {
            _, harness in
            var result: MCPCallResult? = try await harness.call("write").success
            #expect(result?.message.readableBytes ?? 0 > 300 * Self.kibibyte)
            #expect(await eventually { budget.statistics.used >= 300 * Self.kibibyte })
            #expect(budget.statistics.used <= 384 * Self.kibibyte)
            result = nil
            #expect(await eventually { budget.statistics.used == 0 })
        }
    }

    @Test(arguments: [false, true]) func aResultWithoutRoomIsOverloadedAndNotAskedForAgain(_ events: Bool) async throws
    {
        try await MCPCallerTests().with(server(2 << 20, events: events), change: { $0.memory = budget }) {
            server, harness in
            let failure = try await harness.call("read").problem
            #expect(failure.kind == .overloaded)
            #expect(failure.executed == .unknown)
            #expect(server.executions == ["read"])
            #expect(await eventually { budget.statistics.used == 0 })
            #expect(budget.statistics.peak <= 1 << 20)
        }
    }

    @Test func aListOfToolsIsHeldAsLongAsItIsUsed() async throws {
        let rules = MCPCallerTests.rules { rules in
            let text = JSONValue.string(String(repeating: "x", count: 300 * Self.kibibyte))
            rules.tools = [["name": "read", "description": text, "inputSchema": ["type": "object"]]]
        }
        try await MCPCallerTests().with(rules, change: { $0.memory = budget }) { _, harness in
            try await harness.refreshCatalog()
            #expect(await eventually { budget.statistics.used == 320 * Self.kibibyte })
            // The next one takes its place.
            try await harness.refreshCatalog()
            #expect(await eventually { budget.statistics.used == 320 * Self.kibibyte })
            var held: MemoryReservation?
            #expect(budget.hold(budget.limit - 640 * Self.kibibyte, in: &held))
            // There is room for the answer or for the list, not for both.
            await #expect(throws: MCPCallError.self) { try await harness.refreshCatalog() }
            held = nil
        }
        #expect(await eventually { budget.statistics.used == 0 })
    }
}
