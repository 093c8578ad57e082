import JSON
import Logging
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// Servers as they are: each kind of oddity that public reports about other clients tell of, over real sockets.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct RealServerTests {
    typealias Answer = @Sendable (ScriptedRequest, JSONValue) async -> ScriptedResponse?

    /// A legacy server that answers some requests by itself.
    func with(
        change: (inout MCPUpstreamConfiguration) -> Void = { _ in }, _ any: @escaping Answer,
        _ body: (FakeMCPServer, CallerHarness) async throws -> Void
    ) async throws {
        try await MCPCallerTests().with(MCPCallerTests.rules { $0.any = any }, change: change, body)
    }

    static func result(_ message: JSONValue, _ result: String = #"{"content":[],"structuredContent":{"ok":true}}"#)
        -> String
    {
        #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),"result":\#(result)}"#
    }

    static func event(_ json: String) -> String { "event: message\ndata: \(json)\n\n" }

    /// An event stream that the body writes, and that stays open behind it until the client closes it.
    static func openStream(
        headers: [(String, String)] = [], _ body: @escaping @Sendable (ScriptedBodyWriter) async throws -> Void
    ) -> ScriptedResponse {
        .produce(status: 200, headers: [("Content-Type", "text/event-stream")] + headers) { writer in
            try await body(writer)
            try await Task.sleep(for: .seconds(3600))
        }
    }

    // MARK: Eras

    @Test(
        arguments: [
            ScriptedResponse.json(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}"#, status: 404),
            .json(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}"#, status: 500), .events([]),
            .text("oops", status: 500), .empty(200), .text("<html>"), .closeBeforeResponse,
            .raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull", close: true),
        ])
    func aServerThatDoesNotKnowTheProbeIsALegacyOne(_ response: ScriptedResponse) async throws {
        try await with({ _, message in message["method"] == "server/discover" ? response : nil }) { server, harness in
            for _ in 0..<3 { _ = try await harness.call("write").success }
            #expect(server.count("initialize") == 1)
            #expect(server.count("server/discover") <= 2, "the era is remembered")
        }
    }

    @Test func aSilentProbeLeavesTimeForInitialize() async throws {
        try await with(
            change: { $0.handshakeTimeout = .milliseconds(900).underSanitizer },
            { _, message in message["method"] == "server/discover" ? .hang : nil }
        ) { server, harness in
            _ = try await harness.call("write").success
            #expect(server.methods.prefix(2) == ["server/discover", "initialize"])
        }
    }

    @Test(arguments: [200, 400]) func anOlderRevisionIsFoundAndRemembered(_ status: Int) async throws {
        let asked = Mutex<[String]>([])
        try await with({ _, message in
            guard message["method"] == "initialize", let version = message["params"]?["protocolVersion"]?.string else {
                return nil
            }
            asked.withLock { $0.append(version) }
            if version == "2024-11-05" {
                return .json(
                    Self.result(message, #"{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{}}"#))
            }
            return .json(FakeMCPServer.error(message, -32602), status: status)
        }) { server, harness in
            server.change { $0.sessionIDs = false }
            _ = try await harness.call("write", user: "a").success
            _ = try await harness.call("write", user: "b").success
            #expect(
                asked.withLock { $0 } == ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-11-05"])
            #expect(server.http.requests.last?.header("MCP-Protocol-Version") == "2024-11-05")
        }
    }

    @Test func aConfiguredRevisionIsTheOnlyOne() async throws {
        try await with(
            change: { configuration in
                configuration.era = .legacy
                configuration.legacyVersion = .v2025_03_26
                configuration.isVersionFixed = true
            }, { _, _ in nil }
        ) { server, harness in
            _ = try await harness.call("write").success
            #expect(server.methods.first == "initialize")
            #expect(server.http.requests[0].text.contains(#""protocolVersion":"2025-03-26""#))
        }
    }

    // MARK: Streams

    @Test func anAnswerCountsWhenItIsThereThoughItsStreamStaysOpen() async throws {
        try await with({ _, message in
            guard message["method"] == "tools/call" else { return nil }
            return Self.openStream { try await $0.write(Self.event(Self.result(message))) }
        }) { server, harness in
            for _ in 0..<3 { _ = try await harness.call("write", timeout: .seconds(60)).success }
            // Nothing is left behind.
            try await server.http.waitUntil { $0.abandonedResponses == 3 }
        }
    }

    @Test func manyStreamsThatStayOpenAreNotKept() async throws {
        try await with({ _, message in
            guard message["method"] == "tools/call" else { return nil }
            return Self.openStream { try await $0.write(Self.event(Self.result(message))) }
        }) { server, harness in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 {
                    group.addTask { _ = try await harness.call("write", timeout: .seconds(60)).success }
                }
                try await group.waitForAll()
            }
            try await server.http.waitUntil { $0.abandonedResponses == 200 }
        }
    }

    @Test(arguments: [true, false]) func aNotificationNeedsOnlyTheHeadOfAnAnswer(_ staysOpen: Bool) async throws {
        try await with({ _, message in
            guard message["method"] == "notifications/initialized" else { return nil }
            return staysOpen ? Self.openStream { _ in } : .json(FakeMCPServer.error(message, -32603), status: 500)
        }) { server, harness in
            _ = try await harness.call("write", timeout: .seconds(60)).success
            #expect(server.count("initialize") == 1)
        }
    }

    @Test func whatAServerAsksBeforeItsAnswerIsAnsweredAtOnce() async throws {
        let replies = Mutex<[String: JSONValue]>([:])
        let questions = ["ping", "roots/list", "sampling/createMessage", "elicitation/create", "vendor/unknown"]
        try await with({ _, message in
            if message["method"] == nil, let id = message["id"]?.string {
                replies.withLock { $0[id] = message }
                return .empty(202)
            }
            guard message["method"] == "tools/call" || message["method"] == "initialize" else { return nil }
            let isCall = message["method"] == "tools/call"
            let answer =
                isCall
                ? Self.result(message)
                : Self.result(message, #"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}"#)
            return .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                for question in questions {
                    let id = "\(isCall ? "call" : "start") \(question)"
                    try await writer.write(
                        Self.event(#"{"jsonrpc":"2.0","id":"\#(id)","method":"\#(question)","params":{}}"#))
                    // As a server that waits for its answer does.
                    while replies.withLock({ $0[id] }) == nil { try await Task.sleep(for: .milliseconds(1)) }
                }
                try await writer.write(Self.event(answer))
            }
        }) { server, harness in
            server.change { $0.sessionIDs = false }
            // Without progress, as a call from the chat API is.
            _ = try await harness.call("write", timeout: .seconds(60)).success
            let seen = replies.withLock { $0 }
            for stage in ["start", "call"] {
                #expect(seen["\(stage) ping"]?["result"] == [:])
                #expect(seen["\(stage) elicitation/create"]?["result"]?["action"] == "decline")
                for question in ["roots/list", "sampling/createMessage", "vendor/unknown"] {
                    #expect(seen["\(stage) \(question)"]?["error"]?["code"] == -32601)
                }
            }
        }
    }

    // MARK: Sessions

    @Test(
        arguments: [
            (200, #"{"code":-32000,"message":"Session not found. Please re-initialize."}"#),
            (500, #"{"code":-32603,"message":"unknown session"}"#), (200, #"{"code":-32001,"message":"Sitzung weg"}"#),
            (200, #"{"code":-32602,"message":"kaputt"}"#), (500, #"{"code":1,"message":""}"#),
            (400, #"{"code":-32602,"message":"bad"}"#),
        ])
    func aSessionThatTheServerLostIsDroppedInWhateverWordsItSaysSo(_ status: Int, _ error: String) async throws {
        try await MCPCallerTests().with { server, harness in
            server.change { rules in
                rules.any = { request, message in
                    guard let session = request.headers.first(name: "Mcp-Session-Id"), request.method == "POST",
                        message["id"] != nil, !server.state.withLock({ $0.sessions.contains(session) })
                    else { return nil }
                    return .json(
                        #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),"error":\#(error)}"#, status: status)
                }
            }
            try await harness.refreshCatalog()
            _ = try await harness.call("write").success
            server.forgetSessions()
            // A read does not even notice.
            _ = try await harness.call("read").success
            server.forgetSessions()
            // A write is not sent twice, but the next one has a session again.
            let failure = try await harness.call("write").problem
            #expect(failure.kind == .rejected || failure.kind == .failed)
            _ = try await harness.call("write").success
            #expect(server.executions == ["write", "read", "write"])
        }
    }

    @Test func aToolThatFailsCostsNoSession() async throws {
        try await MCPCallerTests().with(
            MCPCallerTests.rules { $0.call = { _, message in .json(FakeMCPServer.error(message, -32603)) } }
        ) { server, harness in
            for _ in 0..<3 {
                let failure = try await harness.call("write").problem
                #expect(failure.kind == .rejected)
            }
            #expect(server.count("initialize") == 1)
            #expect(server.count("ping") == 3)
            #expect(server.executions.count == 3)
        }
    }

    // MARK: Lists

    @Test(arguments: ["same", ""]) func aListThatNeverEndsIsCutWhereItRepeats(_ cursor: String) async throws {
        try await with({ _, message in
            guard message["method"] == "tools/list" else { return nil }
            return .json(
                Self.result(
                    message,
                    #"{"tools":[{"name":"read","inputSchema":{"type":"object"}}],"nextCursor":"\#(cursor)"}"#))
        }) { server, harness in
            let catalog = try await harness.refreshCatalog()
            #expect(catalog.entries.count == 1)
            #expect(server.count("tools/list") == 2)
        }
    }

    // MARK: Spelling

    @Test func anAnswerInGzipIsRead() async throws {
        // {"content":[]} as the result of a request whose id is not known beforehand: sent as an error without an id.
        let packed: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 0x37, 0, 0xC8, 0xFF,
        ]
        let text = #"{"jsonrpc":"2.0","error":{"code":-32042,"message":"x"}}"#
        #expect(text.utf8.count == 0x37)
        try await with({ _, message in
            guard message["method"] == "tools/call" else { return nil }
            var body = ByteBuffer(bytes: packed)
            body.writeString(text)
            body.writeInteger(Checksum.crc32(text), endianness: .little)
            body.writeInteger(UInt32(text.utf8.count), endianness: .little)
            return .whole(
                status: 200, headers: [("Content-Type", "application/json"), ("Content-Encoding", "gzip")], body: body)
        }) { server, harness in
            let failure = try await harness.call("write").problem
            #expect(failure.rpcError?.code == -32042)
            #expect(
                server.http.requests.last { $0.text.contains("tools/call") }?.header("Accept-Encoding") == "identity")
        }
    }

    @Test func aProgressTokenMayComeBackAsText() async throws {
        try await with({ _, message in
            guard message["method"] == "tools/call" else { return nil }
            let token = message["params"]?["_meta"]?["progressToken"]?.text ?? ""
            let progress =
                #"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"\#(token)","progress":1,"message":"m"}}"#
            return .events([(.zero, Self.event(progress)), (.zero, Self.event(Self.result(message)))])
        }) { _, harness in
            let seen = Mutex<[String?]>([])
            _ = try await harness.call("write") { progress in seen.withLock { $0.append(progress.message) } }.success
            #expect(seen.withLock { $0 } == ["m"])
        }
    }

    // MARK: Questions in results

    @Test func aToolThatAsksInItsResultIsDeclined() async throws {
        let seen = Mutex<[JSONValue]>([])
        let rules = MCPCallerTests.rules { rules in
            rules.modern = true
            rules.call = { _, message in
                seen.withLock { $0.append(message) }
                guard message["params"]?["inputResponses"] == nil else { return nil }
                return .json(
                    Self.result(
                        message,
                        #"{"resultType":"input_required","requestState":"a\u0062\/c","inputRequests":{"q":{"method":"elicitation/create","params":{"message":"?"}}}}"#
                    ))
            }
        }
        try await MCPCallerTests().with(rules) { server, harness in
            _ = try await harness.call("write").success
            let calls = seen.withLock { $0 }
            #expect(calls.count == 2)
            #expect(calls[1]["params"]?["inputResponses"]?["q"]?["action"] == "decline")
            #expect(calls[0]["id"] != calls[1]["id"])
            #expect(server.http.requests.last?.text.contains(#""requestState":"a\u0062\/c""#) == true, "byte for byte")
        }
    }
}

private enum Checksum {
    static func crc32(_ text: String) -> UInt32 {
        ~text.utf8.reduce(~0 as UInt32) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
        }
    }
}
