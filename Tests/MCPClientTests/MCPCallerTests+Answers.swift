import JSON
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

extension MCPCallerTests {
    // MARK: Answers

    @Test(
        arguments: [
            ("not json", MCPCallError.Kind.invalid), ("", .invalid), ("[]", .invalid),
            (#"{"jsonrpc":"2.0","id":999999999,"result":{}}"#, .invalid),
            (#"{"jsonrpc":"2.0","id":"other","result":{}}"#, .invalid),
            (#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"x"}}"#, .rejected),
        ])
    func garbageIsInvalidAndTheNextCallWorks(_ body: String, _ kind: MCPCallError.Kind) async throws {
        try await with(Self.rules { $0.call = { _, _ in .json(body) } }) { server, harness in
            #expect(try await harness.call("write").problem.kind == kind)
            server.change { $0.call = nil }
            _ = try await harness.call("write").success
        }
    }

    @Test func aLongSilenceIsWatchedWithoutATimerOfItsOwn() async throws {
        let rules = Self.rules { $0.call = { _, _ in .hang } }
        try await with(rules) { server, harness in
            async let outcome = harness.call("write", timeout: .seconds(600), idle: .seconds(60))
            try await server.http.waitUntil { $0.requests.contains { $0.text.contains("tools/call") } }
            let sent = NIODeadline.now()
            // What comes before the limit changes nothing.
            try await harness.onLoop { $0.watch.check(at: sent + .seconds(50)) }
            try await harness.onLoop { $0.watch.check(at: sent + .seconds(60)) }
            let failure = try await outcome.problem
            #expect(failure.kind == .timeout)
            #expect(failure.executed == .unknown)
        }
    }

    @Test func rubbishInsteadOfHTTPIsInvalid() async throws {
        try await with(Self.rules { $0.call = { _, _ in .raw("SMTP hello\r\n\r\n", close: true) } }) { _, harness in
            let failure = try await harness.call("write").problem
            #expect(failure.executed == .unknown)
            #expect(failure.kind == .invalid || failure.kind == .unreachable)
        }
    }

    @Test func anAnswerBeyondTheLimitIsInvalid() async throws {
        let big = String(repeating: "x", count: 200_000)
        try await with(
            Self.rules { $0.call = { _, _ in .json("\"\(big)\"") } }, change: { $0.maximumResponseBytes = 100_000 }
        ) { _, harness in
            let failure = try await harness.call("write").problem
            #expect(failure.kind == .invalid)
            #expect(failure.executed == .unknown)
        }
    }

    @Test(
        arguments: [
            (401, MCPCallError.Kind.unauthorized), (403, .forbidden), (429, .rateLimited), (422, .rejected),
            (500, .failed), (503, .failed),
        ])
    func statusesKeepTheirHeaders(_ status: Int, _ kind: MCPCallError.Kind) async throws {
        let rules = Self.rules { rules in
            rules.call = { _, _ in
                .text(
                    "no", status: status,
                    headers: [
                        ("WWW-Authenticate", "Bearer"), ("Retry-After", "7"), ("Set-Cookie", "a=1"),
                        ("Set-Cookie", "b=2"),
                    ])
            }
        }
        try await with(rules) { _, harness in
            let failure = try await harness.call().problem
            #expect(failure.kind == kind)
            #expect(failure.status == status)
            #expect(failure.wwwAuthenticate == ["Bearer"])
            #expect(failure.retryAfter == "7")
            #expect(failure.setCookies == ["a=1", "b=2"])
        }
    }

    @Test func eventStreamsAreReadAndCookiesHandedBack() async throws {
        try await with(Self.rules { $0.events = true }) { server, harness in
            for number in 0..<3 {
                let result = try await harness.call(arguments: #"{"n":\#(number)}"#).success
                #expect(result.json["structuredContent"]?["arguments"]?["n"]?.int == number)
            }
            #expect(server.count("initialize") == 1)
        }
        let rules = Self.rules { rules in
            rules.call = { _, message in
                .json(
                    #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{}}"#,
                    headers: [("Set-Cookie", "x=y")])
            }
        }
        try await with(rules) { _, harness in
            let result = try await harness.call().success
            #expect(result.setCookies == ["x=y"])
        }
    }

    @Test func anEmptyEventStreamIsNoResult() async throws {
        try await with(Self.rules { $0.call = { _, _ in .events([]) } }) { server, harness in
            let failure = try await harness.call("write").problem
            #expect(failure.kind == .invalid)
            #expect(failure.executed == .unknown)
            #expect(server.executions == ["write"])
        }
    }

    @Test func progressOfTheOwnTokenArrivesBeforeTheResult() async throws {
        let rules = Self.rules { rules in
            rules.call = { _, message in
                let token = message["params"]?["_meta"]?["progressToken"]?.text ?? "0"
                func progress(_ token: String, _ value: Int) -> String {
                    #"data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":\#(token),"progress":\#(value),"total":3,"message":"m\#(value)"}}"#
                        + "\n\n"
                }
                let answer = #"data: {"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{}}"# + "\n\n"
                return .events([
                    (.zero, progress(token, 1)), (.milliseconds(20), progress("77777777", 9)),
                    (.milliseconds(20), progress(token, 2)), (.milliseconds(20), answer),
                ])
            }
        }
        try await with(rules) { _, harness in
            let seen = Mutex<[MCPProgress]>([])
            _ = try await harness.call { progress in seen.withLock { $0.append(progress) } }.success
            #expect(
                seen.withLock { $0 } == [
                    MCPProgress(progress: 1, total: 3, message: "m1"),
                    MCPProgress(progress: 2, total: 3, message: "m2"),
                ])
        }
    }

    @Test func aServersQuestionsAreAnsweredOrDeclined() async throws {
        let rules = Self.rules { rules in
            rules.call = { _, message in
                .events([
                    (.zero, "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n"),
                    (.zero, "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"roots/list\"}\n\n"),
                    (
                        .milliseconds(50),
                        #"data: {"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{}}"# + "\n\n"
                    ),
                ])
            }
        }
        try await with(rules) { server, harness in
            _ = try await harness.call { _ in }.success
            try await server.http.waitUntil { log in
                log.requests.count { $0.text.contains(#""id":"p""#) || $0.text.contains(#""id":9,"#) } == 2
            }
            let replies = server.http.requests.compactMap { try? JSONValue(parsing: $0.text) }.filter {
                $0["method"] == nil
            }
            #expect(replies.first { $0["id"] == "p" }?["result"] == [:])
            #expect(replies.first { $0["id"] == 9 }?["error"]?["code"] == -32601)
        }
    }

    @Test func aFloodOfQuestionsEndsTheStreamAndNothingElse() async throws {
        let rules = Self.rules { rules in
            rules.call = { _, message in
                guard message["params"]?["name"]?.string == "read" else { return nil }
                return .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                    let ping = #"data: {"jsonrpc":"2.0","id":"p","method":"ping"}"# + "\n\n"
                    while true { try await writer.write(String(repeating: ping, count: 1000)) }
                }
            }
            // What answers a question is taken and never acknowledged.
            rules.any = { request, message in
                request.method == "POST" && message["method"] == nil ? .hang : nil
            }
        }
        try await with(rules) { server, harness in
            let failure = try await harness.call { _ in }.problem
            #expect(failure.kind == .invalid)
            #expect(failure.detail.contains("questions"))
            #expect(server.http.requests.count { $0.text.contains(#""id":"p""#) } <= OpenQuestions.streamLimit)
            #expect(server.http.log.acceptedConnections <= OpenQuestions.streamLimit + 4)
            _ = try await harness.call("write").success
        }
    }

    @Test func aBrokenStreamIsTakenUpAgainWhereItStopped() async throws {
        let id = Mutex("")
        let rules = Self.rules { rules in
            rules.call = { _, message in
                id.withLock { $0 = message["id"]?.text ?? "" }
                return .events([(.zero, "id: e7\nretry: 30\ndata: \n\n")])
            }
            rules.any = { request, _ in
                guard request.method == "GET" else { return nil }
                let answer = #"{"jsonrpc":"2.0","id":\#(id.withLock { $0 }),"result":{"resumed":true}}"#
                return .events([(.zero, "id: e8\ndata: \(answer)\n\n")])
            }
        }
        try await with(rules) { server, harness in
            let result = try await harness.call("write").success
            #expect(result.json["resumed"] == true)
            #expect(result.replays == 0)
            let resumption = try #require(server.http.requests.first { $0.method == "GET" })
            #expect(resumption.headers.first(name: "Last-Event-ID") == "e7")
            #expect(server.executions == ["write"])
            server.change { $0.any = { request, _ in request.method == "GET" ? .empty(405) : nil } }
            let failure = try await harness.call("write").problem
            #expect(failure.executed == .unknown)
        }
    }

    // MARK: Deadlines and cancellation

    @Test func aTimeoutCancelsTheCallAtALegacyServer() async throws {
        try await with(Self.rules { $0.call = { _, _ in .hang } }) { server, harness in
            // Time enough to come to the call itself, on a machine that is busy too.
            let failure = try await harness.call("write", timeout: .seconds(3)).problem
            #expect(failure.kind == .timeout)
            #expect(failure.executed == .unknown)
            try await server.http.waitUntil { $0.requests.contains { $0.text.contains("notifications/cancelled") } }
            let requests = server.http.requests.compactMap { try? JSONValue(parsing: $0.text) }
            let call = requests.first { $0["method"] == "tools/call" }
            let cancel = requests.first { $0["method"] == "notifications/cancelled" }
            #expect(cancel?["params"]?["requestId"] == call?["id"])
            #expect(cancel?["id"] == nil)
        }
    }

    @Test func cancellingAModernCallClosesItsConnection() async throws {
        let rules = Self.rules {
            $0.modern = true
            $0.call = { _, _ in .hang }
        }
        try await with(rules) { server, harness in
            let failure = try await harness.call(
                "write", cancelWhen: { try await server.http.waitUntil { _ in server.count("tools/call") == 1 } }
            ).problem
            #expect(failure.kind == .cancelled)
            try await server.http.waitUntil { $0.openConnections == 0 }
            #expect(server.count("notifications/cancelled") == 0)
        }
    }

    @Test func silenceEndsACallBeforeItsDeadline() async throws {
        try await with(Self.rules { $0.call = { _, _ in .hang } }) { _, harness in
            let failure = try await harness.call("write", timeout: .seconds(30), idle: .milliseconds(200)).problem
            #expect(failure.kind == .timeout)
            #expect(failure.timings.upstream < .seconds(5))
        }
    }

    // MARK: Catalog

    @Test func theCatalogHasAllPages() async throws {
        let rules = Self.rules { rules in
            rules.any = { request, message in
                guard message["method"] == "tools/list" else { return nil }
                let page = Int(message["params"]?["cursor"]?.string ?? "0") ?? 0
                let tool = #"{"name":"t\#(page)","inputSchema":{"type":"object"}}"#
                let next = page < 4 ? #","nextCursor":"\#(page + 1)""# : ""
                return .json(
                    #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"tools":[\#(tool),{"bad":1}]\#(next)}}"#
                )
            }
        }
        try await with(rules) { _, harness in
            let catalog = try await harness.refreshCatalog()
            #expect(catalog.entries.map(\.definition.name) == ["t0", "t1", "t2", "t3", "t4"])
            #expect(harness.upstream.catalog?["t3"] != nil)
        }
    }

    @Test func anExpiredCatalogIsRenewedInPassing() async throws {
        try await with { server, harness in
            try await harness.refreshCatalog()
            server.change { $0.tools = [["name": "new", "inputSchema": ["type": "object"]]] }
            harness.upstream.expireCatalog()
            _ = try await harness.call().success
            try await server.http.waitUntil { $0.requests.count { $0.text.contains("tools/list") } == 2 }
            while harness.upstream.catalog?["new"] == nil { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test func markedArgumentsTravelAsHeaders() async throws {
        let rules = Self.rules {
            $0.modern = true
            $0.tools = [
                [
                    "name": "ré",
                    "inputSchema": [
                        "type": "object",
                        "properties": ["region": ["type": "string", "x-mcp-header": "Region"]],
                    ],
                ]
            ]
        }
        try await with(rules) { server, harness in
            try await harness.refreshCatalog()
            _ = try await harness.call("ré", arguments: #"{"region":"eu"}"#).success
            let call = try #require(server.http.requests.last)
            #expect(call.headers.first(name: "Mcp-Param-Region") == "eu")
            #expect(call.headers.first(name: "Mcp-Name")?.hasPrefix("=?base64?") == true)
        }
    }
}
