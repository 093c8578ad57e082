import Foundation
import JSON
import Logging
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A server at the other end of two pipes, which answers as the test says.
private final class PipeServer: Sendable {
    typealias Answer = @Sendable (JSONValue) -> [JSONValue]

    private let heard = Mutex<[JSONValue]>([])
    private let output: Int32
    let client: StdioMCPClient

    init(
        _ configuration: StdioMCPClient.Configuration = .init(), handlers: MCPClientHandlers = MCPClientHandlers(),
        _ answer: @escaping Answer
    ) {
        let (toServer, toClient) = (Self.pipe(), Self.pipe())
        output = toClient.write
        client = StdioMCPClient(
            channel: StdioChannel(input: toClient.read, output: toServer.write, limit: 1 << 20),
            clientInfo: Implementation(name: "test", version: "1"), handlers: handlers, configuration: configuration,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let input = toServer.read
        Thread.detachNewThread { [self] in
            var splitter = LineSplitter(limit: 1 << 20)
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(input, &buffer, buffer.count)
                guard count > 0 else { break }
                buffer.withUnsafeBytes { bytes in
                    splitter.feed(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { line in
                        guard case .text(let text) = line, let message = try? JSONValue(parsing: text) else { return }
                        heard.withLock { $0.append(message) }
                        for reply in answer(message) { say(reply.text) }
                    }
                }
            }
            close(output)
        }
    }

    private static func pipe() -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        Glibc.pipe(&ends)
        return (ends[0], ends[1])
    }

    func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(output, bytes, bytes.count)
    }

    var messages: [JSONValue] { heard.withLock { $0 } }
    var methods: [String] { messages.compactMap { $0["method"]?.string } }

    func waitUntil(_ condition: (PipeServer) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !condition(self) {
            try #require(ContinuousClock.now < end)
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    static func result(_ message: JSONValue, _ result: JSONValue) -> JSONValue {
        ["jsonrpc": "2.0", "id": message["id"] ?? .null, "result": result]
    }

    static func error(_ message: JSONValue, _ code: Int, data: JSONValue? = nil) -> JSONValue {
        var error: JSONObject = ["code": .number(JSONNumber(code)), "message": "no"]
        error["data"] = data
        return ["jsonrpc": "2.0", "id": message["id"] ?? .null, "error": .object(error)]
    }

    static func handshake(_ message: JSONValue, modern: Bool) -> [JSONValue]? {
        switch message["method"]?.string {
        case "server/discover"?:
            if !modern { return [error(message, -32601)] }
            return [
                result(
                    message,
                    [
                        "resultType": "complete", "supportedVersions": ["2026-07-28", "2025-11-25"],
                        "capabilities": ["tools": [:]], "ttlMs": 0, "cacheScope": "public",
                    ])
            ]
        case "initialize"?:
            return [
                result(
                    message,
                    [
                        "protocolVersion": "2025-06-18", "capabilities": ["tools": [:]],
                        "serverInfo": ["name": "piped", "version": "1"],
                    ])
            ]
        case "notifications/initialized"?, "notifications/cancelled"?: return []
        default: return nil
        }
    }
}

@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness))) struct StdioMCPClientTests {
    @Test func aModernServerIsNotInitialized() async throws {
        let server = PipeServer { PipeServer.handshake($0, modern: true) ?? [PipeServer.result($0, ["tools": []])] }
        #expect(try await server.client.connect().version == .v2026_07_28)
        #expect(try await server.client.listTools().isEmpty)
        #expect(server.methods == ["server/discover", "tools/list"])
        #expect(server.messages.last?["params"]?["_meta"]?[MCPMeta.protocolVersion] == "2026-07-28")
        await server.client.close()
    }

    @Test(arguments: [-32601, -32600, -32602, -32022, 0])
    func anyErrorThatIsNotModernMeansLegacy(_ code: Int) async throws {
        let server = PipeServer { message in
            if message["method"] == "server/discover" { return [PipeServer.error(message, code)] }
            return PipeServer.handshake(message, modern: false) ?? []
        }
        let description = try await server.client.connect()
        #expect(description.version == .v2025_06_18)
        #expect(description.serverInfo?.name == "piped")
        try await server.waitUntil { $0.methods.last == "notifications/initialized" }
        await server.client.close()
    }

    @Test func silenceMeansLegacy() async throws {
        let server = PipeServer(.init(probeTimeout: .milliseconds(50))) { message in
            message["method"] == "server/discover" ? [] : PipeServer.handshake(message, modern: false) ?? []
        }
        #expect(try await server.client.connect().version == .v2025_06_18)
        // The probe is not cancelled: a server before its initialize may not know what that is.
        #expect(!server.methods.contains("notifications/cancelled"))
        await server.client.close()
    }

    @Test func aHeaderMismatchProvesTheModernEra() async throws {
        let server = PipeServer { [PipeServer.error($0, -32020)] }
        #expect(try await server.client.connect().version == .v2026_07_28)
        await server.client.close()
    }

    @Test func answersFindTheirRequestsInAnyOrder() async throws {
        let waiting = Mutex<[JSONValue]>([])
        let server = PipeServer { message in
            if let answer = PipeServer.handshake(message, modern: true) { return answer }
            return waiting.withLock { waiting in
                waiting.append(message)
                guard waiting.count == 20 else { return [] }
                return waiting.reversed().map { PipeServer.result($0, ["who": $0["params"]?["name"] ?? .null]) }
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let result = try await server.client.request("tools/call", params: ["name": .string("\(number)")])
                    #expect(result["who"]?.string == "\(number)")
                }
            }
            try await group.waitForAll()
        }
        await server.client.close()
    }

    @Test(arguments: [true, false])
    func cancellingTheTaskTellsTheServer(_ modern: Bool) async throws {
        let server = PipeServer { PipeServer.handshake($0, modern: modern) ?? [] }
        let task = Task { try await server.client.request("tools/call", params: ["name": "slow"]) }
        try await server.waitUntil { $0.methods.contains("tools/call") }
        task.cancel()
        await #expect { try await task.value } throws: { ($0 as? MCPCallError)?.kind == .cancelled }
        try await server.waitUntil { $0.methods.last == "notifications/cancelled" }
        let call = try #require(server.messages.first { $0["method"] == "tools/call" })
        #expect(server.messages.last?["params"]?["requestId"] == call["id"])
        await server.client.close()
    }

    @Test func aRequestThatTakesTooLongIsGivenUp() async throws {
        let server = PipeServer(.init(timeout: .milliseconds(50))) { PipeServer.handshake($0, modern: true) ?? [] }
        await #expect {
            try await server.client.request("tools/list")
        } throws: { ($0 as? MCPCallError)?.kind == .timeout }
        await server.client.close()
    }

    @Test func aServerThatEndsFailsWhatIsInFlight() async throws {
        let server = PipeServer { PipeServer.handshake($0, modern: true) ?? [] }
        let task = Task { try await server.client.request("tools/list") }
        try await server.waitUntil { $0.methods.contains("tools/list") }
        await server.client.close()
        await #expect { try await task.value } throws: { ($0 as? MCPCallError)?.kind == .unreachable }
        await #expect { try await server.client.request("tools/list") } throws: { $0 is MCPCallError }
    }

    @Test func linesThatAreNoMessagesAreSurvived() async throws {
        let server = PipeServer { PipeServer.handshake($0, modern: true) ?? [PipeServer.result($0, ["tools": []])] }
        server.say("not json")
        server.say("[1, {\"jsonrpc\":\"2.0\"}]")
        server.say("{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}")
        server.say(String(repeating: "x", count: 2 << 20))
        #expect(try await server.client.listTools().isEmpty)
        await server.client.close()
    }

    @Test func questionsOfALegacyServerAreAnswered() async throws {
        let server = PipeServer(
            handlers: MCPClientHandlers(roots: { [Root(uri: "file:///r")] })
        ) { message in
            if let answer = PipeServer.handshake(message, modern: false) { return answer }
            switch message["method"]?.string {
            case "tools/call"?:
                return [
                    ["jsonrpc": "2.0", "id": "q1", "method": "roots/list"],
                    ["jsonrpc": "2.0", "id": 7, "method": "ping"],
                    ["jsonrpc": "2.0", "id": 8, "method": "sampling/createMessage", "params": [:]],
                    PipeServer.result(message, ["content": []]),
                ]
            default: return []
            }
        }
        _ = try await server.client.callTool("ask")
        try await server.waitUntil { $0.messages.filter { $0["method"] == nil }.count == 3 }
        let answers = server.messages.filter { $0["method"] == nil }
        #expect(answers.first { $0["id"] == "q1" }?["result"]?["roots"]?[0]?["uri"] == "file:///r")
        #expect(answers.first { $0["id"] == 7 }?["result"] == [:])
        #expect(answers.first { $0["id"] == 8 }?["error"]?["code"] != nil)
        await server.client.close()
    }

    @Test func modernQuestionsAreAnsweredInAFurtherRequest() async throws {
        let server = PipeServer(handlers: MCPClientHandlers(roots: { [Root(uri: "file:///r")] })) { message in
            if let answer = PipeServer.handshake(message, modern: true) { return answer }
            if message["params"]?["inputResponses"] == nil {
                return [
                    PipeServer.result(
                        message,
                        [
                            "resultType": "input_required", "requestState": "s 1",
                            "inputRequests": ["r": ["method": "roots/list"]],
                        ])
                ]
            }
            return [PipeServer.result(message, ["resultType": "complete", "content": []])]
        }
        _ = try await server.client.callTool("ask", arguments: ["a": 1])
        let calls = server.messages.filter { $0["method"] == "tools/call" }
        #expect(calls.count == 2)
        #expect(calls[0]["id"] != calls[1]["id"])
        #expect(calls[1]["params"]?["requestState"] == "s 1")
        #expect(calls[1]["params"]?["arguments"] == ["a": 1])
        #expect(calls[1]["params"]?["inputResponses"]?["r"]?["roots"] != nil)
        await server.client.close()
    }

    @Test func subscriptionsDeliverUntilTheyAreCancelled() async throws {
        let told = Mutex<[String]>([])
        let opened = Mutex(false)
        let server = PipeServer(
            handlers: MCPClientHandlers(onNotification: { note in told.withLock { $0.append(note.method) } })
        ) { message in
            if let answer = PipeServer.handshake(message, modern: true) { return answer }
            let meta: JSONValue = [MCPMeta.subscriptionID: message["id"] ?? .null]
            return ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"].map {
                ["jsonrpc": "2.0", "method": .string($0), "params": ["_meta": meta, "notifications": [:]]]
            }
        }
        let task = Task {
            try await server.client.listen(
                to: SubscriptionFilter(toolsListChanged: true), onOpen: { opened.withLock { $0 = true } })
        }
        try await server.waitUntil { _ in told.withLock { $0.contains("notifications/tools/list_changed") } }
        #expect(opened.withLock { $0 })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await server.waitUntil { $0.methods.last == "notifications/cancelled" }
        await server.client.close()
    }

    @Test func anIDMayComeBackAsText() async throws {
        let server = PipeServer { message in
            var message = message.object ?? [:]
            message["id"] = message["id"]?.int.map { .string(String($0)) }
            return PipeServer.handshake(.object(message), modern: false) ?? [
                PipeServer.result(.object(message), ["tools": []])
            ]
        }
        #expect(try await server.client.listTools().isEmpty)
        await server.client.close()
    }

    @Test func anOlderRevisionIsFound() async throws {
        let server = PipeServer { message in
            if message["method"] == "server/discover" { return [PipeServer.error(message, -32601)] }
            if message["method"] == "initialize", message["params"]?["protocolVersion"] != "2025-03-26" {
                return [PipeServer.error(message, -32602)]
            }
            return PipeServer.handshake(message, modern: false) ?? []
        }
        try await server.client.connect()
        let asked = server.messages.compactMap { $0["params"]?["protocolVersion"]?.string }
        #expect(asked == ["2025-11-25", "2025-06-18", "2025-03-26"])
        await server.client.close()
    }

    @Test func questionsWithoutEndAreAnsweredWithoutAHandler() async throws {
        let asked = Mutex<[CheckedContinuation<Void, Never>]>([])
        let handlers = MCPClientHandlers(roots: {
            await withCheckedContinuation { waiting in asked.withLock { $0.append(waiting) } }
            return []
        })
        let server = PipeServer(handlers: handlers) { PipeServer.handshake($0, modern: false) ?? [] }
        try await server.client.connect()
        for number in 0..<100 { server.say(#"{"jsonrpc":"2.0","id":"q\#(number)","method":"roots/list"}"#) }
        try await server.waitUntil { $0.messages.count { $0["error"]?["code"] == -32603 } >= 84 }
        try await server.waitUntil { _ in asked.withLock { $0.count } == OpenQuestions.streamLimit }
        for waiting in asked.withLock({ $0 }) { waiting.resume() }
        await server.client.close()
    }

    @Test func aRealProcessIsStartedAndEnded() async throws {
        // Answers every line that has an id with an error: a legacy server that then refuses initialize, too.
        let script = #"while IFS= read -r line; do echo '{"jsonrpc":"2.0","id":null,"error":{}}'; done"#
        let client = try StdioMCPClient(
            command: "/bin/sh", arguments: ["-c", script], clientInfo: Implementation(name: "test", version: "1"),
            configuration: .init(timeout: .milliseconds(200), probeTimeout: .milliseconds(100)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await #expect { try await client.connect() } throws: { ($0 as? MCPCallError)?.kind == .timeout }
        let clock = ContinuousClock()
        let taken = await clock.measure { await client.close() }
        #expect(taken < .seconds(2))
    }
}
