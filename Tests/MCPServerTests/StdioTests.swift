import Foundation
import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPServer

/// A stdio server on two pipes.
final class StdioClient {
    private let input = Pipe()
    private let output = Pipe()
    private let running: Task<Void, Never>
    private var lines: AsyncStream<InputLine>.Iterator
    private let taken: @Sendable () -> Void

    init(_ server: MCPServer, limit: Int = 4096) {
        let transport = StdioTransport(
            server: server, input: input.fileHandleForReading.fileDescriptor,
            output: output.fileHandleForWriting.fileDescriptor, maximumLineBytes: limit)
        running = Task { await transport.run() }
        let (stream, taken) = LineReader.lines(of: output.fileHandleForReading.fileDescriptor, limit: 1 << 20)
        lines = stream.makeAsyncIterator()
        self.taken = taken
    }

    func send(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((text + "\n").utf8)) }
    func send(_ message: JSONValue) throws { try send(message.text) }

    func receive() async throws -> JSONValue {
        guard case .text(let bytes)? = await lines.next(isolation: #isolation) else { throw TestFailure("no line") }
        taken()
        return try JSONValue(parsing: bytes)
    }

    /// Closes the input, waits for the server, and returns what it still said.
    func end() async throws -> [JSONValue] {
        try input.fileHandleForWriting.close()
        await running.value
        try output.fileHandleForWriting.close()
        var rest: [JSONValue] = []
        while case .text(let bytes)? = await lines.next(isolation: #isolation) {
            taken()
            rest.append(try JSONValue(parsing: bytes))
        }
        return rest
    }

    func initialize(_ version: MCPVersion) async throws {
        try send(Fixture.initializeBody(version.rawValue))
        #expect(try await receive()["result"]?["protocolVersion"]?.string == version.rawValue)
        try send(JSONRPCNotification(method: "notifications/initialized").json)
    }
}

@Suite("stdio")
struct StdioTests {
    @Test("both eras on one process, concurrently")
    func eras() async throws {
        let client = StdioClient(try Fixture().server)
        try client.send(Fixture.modernBody("server/discover"))
        #expect(try await client.receive()["result"]?["resultType"] == "complete")
        try client.send(JSONRPCRequest(id: 1, method: "tools/list").json)
        #expect(try await client.receive()["error"]?["code"] == -32600)
        try await client.initialize(.v2025_11_25)
        try client.send(JSONRPCRequest(id: 2, method: "tools/list").json)
        #expect(try await client.receive()["result"]?["resultType"] == nil)
        try client.send(Fixture.modernBody("tools/call", ["name": "echo", "arguments": ["message": "x"]], id: 3))
        #expect(try await client.receive()["result"]?["structuredContent"] == ["Echo": "x"])
        #expect(try await client.end().isEmpty)
    }

    @Test("invalid and over-long lines get an error without id, and the next line is served")
    func badLines() async throws {
        let client = StdioClient(try Fixture().server)
        for line in ["{", String(repeating: "x", count: 5000), "[]", "7"] {
            try client.send(line)
            let reply = try await client.receive()
            #expect(reply["error"] != nil)
            #expect(reply["id"] == nil)
        }
        try client.send("")
        try client.send(JSONRPCRequest(id: 1, method: "ping").json)
        #expect(try await client.receive()["result"] == [:])
        #expect(try await client.end().isEmpty)
    }

    @Test("requests run side by side, duplicates are refused, a cancelled one stays silent")
    func concurrency() async throws {
        let gate = Gate()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, context in
                await context.progress(1)
                try await gate.wait()
                return .text("done")
            }
        ])
        let client = StdioClient(fixture.server)
        try await client.initialize(.v2025_11_25)
        let waits: JSONObject = ["name": "waits", "_meta": ["progressToken": 1]]
        try client.send(JSONRPCRequest(id: 1, method: "tools/call", params: waits).json)
        #expect(try await client.receive()["method"] == "notifications/progress")
        try client.send(JSONRPCRequest(id: 2, method: "tools/call", params: waits).json)
        #expect(try await client.receive()["method"] == "notifications/progress")
        try client.send(JSONRPCRequest(id: 1, method: "ping").json)
        #expect(try await client.receive()["error"]?["code"] == -32600)
        try client.send(CancelledNotification(requestID: 1).notification.json)
        try client.send(JSONRPCRequest(id: 3, method: "ping").json)
        #expect(try await client.receive()["id"] == 3)
        gate.open()
        let rest = try await client.end()
        #expect(rest.map { $0["id"] } == [2])
        #expect(rest.first?["result"]?["content"]?[0]?["text"] == "done")
    }

    @Test("the end of input answers what is in flight, and ends questions and subscriptions")
    func endOfInput() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("asks") { _, context in
                _ = try await context.listRoots()
                return .text("unreachable")
            }
        ])
        let client = StdioClient(fixture.server)
        try await client.initialize(.v2025_06_18)
        try client.send(
            Fixture.modernBody("subscriptions/listen", ["notifications": ["toolsListChanged": true]], id: "sub"))
        #expect(try await client.receive()["method"] == "notifications/subscriptions/acknowledged")
        try client.send(JSONRPCRequest(id: 2, method: "tools/call", params: ["name": "asks"]).json)
        #expect(try await client.receive()["method"] == "roots/list")
        let rest = try await client.end()
        #expect(rest.contains { $0["id"] == 2 && $0["result"]?["isError"] == true })
        #expect(rest.contains { $0["id"] == "sub" && $0["result"]?["resultType"] == "complete" })
    }

    @Test("batches are answered as one array in 2025-03-26")
    func batches() async throws {
        let client = StdioClient(try Fixture().server)
        try await client.initialize(.v2025_03_26)
        try client.send([
            ["jsonrpc": "2.0", "id": 5, "method": "ping"], ["jsonrpc": "2.0", "id": 6, "method": "tools/list"],
        ])
        #expect(Set(try await client.receive().array?.compactMap { $0["id"]?.int } ?? []) == [5, 6])
        #expect(try await client.end().isEmpty)
    }

    @Test("a subscription is cancelled by notification, its id is free again")
    func cancelledSubscription() async throws {
        let fixture = try Fixture()
        let client = StdioClient(fixture.server)
        let listen = Fixture.modernBody("subscriptions/listen", ["notifications": ["toolsListChanged": true]], id: 1)
        for _ in 0..<2 {
            try client.send(listen)
            #expect(try await client.receive()["method"] == "notifications/subscriptions/acknowledged")
            fixture.server.announce(.tools)
            #expect(try await client.receive()["method"] == "notifications/tools/list_changed")
            try client.send(CancelledNotification(requestID: 1).notification.json)
        }
        #expect(try await client.end().isEmpty)
    }

    @Test("lines are cut at any split point", arguments: 1...12)
    func splitting(size: Int) {
        let text = Array("{\"a\":1}\r\n\n  \n123456789012345\n12345678901234567\nlast".utf8)
        var splitter = LineSplitter(limit: 15)
        var lines: [InputLine] = []
        for start in stride(from: 0, to: text.count, by: size) {
            text[start..<min(start + size, text.count)].withUnsafeBytes { splitter.feed($0) { lines.append($0) } }
        }
        splitter.end { lines.append($0) }
        let expected: [InputLine] = [
            .text(Array("{\"a\":1}".utf8)), .text(Array("123456789012345".utf8)), .tooLong, .text(Array("last".utf8)),
        ]
        #expect(lines == expected)
    }
}
