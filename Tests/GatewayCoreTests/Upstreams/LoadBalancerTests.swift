import CurlTransport
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Several servers, bounds, breakers and Unix sockets, over real sockets.
@Suite struct LoadBalancerTests {
    private static let hello = #"{"message":"x"}"#

    /// The shipped types in front of one upstream with these settings.
    private func upstreams(_ url: String, _ settings: JSONObject) -> JSONObject {
        var upstream: JSONObject = [
            "url": .string(url), "trusted": true, "era": "legacy", "retryWindow": "0s", "probeInterval": "60s",
        ]
        for (key, value) in settings { upstream[key] = value }
        return ["upstreams": ["tools": .object(upstream)]]
    }

    /// Holds the calls of a fake server until it is opened.
    private final class Door: Sendable {
        private let stream = AsyncStream<Void>.makeStream()
        func open() { stream.continuation.finish() }
        func pass() async { for await _ in stream.stream {} }
    }

    @Test func callsAreSpreadOverTheServersAndOneThatIsDownIsLeftOut() async throws {
        let first = try await FakeToolServer { _ in .results("one") }
        let second = try await FakeToolServer { _ in .results("two") }
        defer { second.stop() }
        let changes = upstreams(first.url + "/mcp/", ["urls": [.string(second.url + "/mcp/")]])
        try await TestGateway.with(first, changes) { (test) async throws in
            await test.waitUntilReady()
            for _ in 0..<6 { #expect(try await test.chat(Self.hello).status == 200) }
            #expect(first.calls.count == 3)
            #expect(second.calls.count == 3)
            try await first.stopAndWait()
            // A call that could not be sent to one server goes to the other.
            for _ in 0..<8 { #expect(try await test.chat(Self.hello).text.contains("two")) }
            try await first.restart()
            try await second.stopAndWait()
            let returned = await eventually { (try? await test.chat(Self.hello).text.contains("one")) == true }
            #expect(returned)
        }
    }

    @Test func aReadThatBreaksEveryServerIsNotSentForEver() async throws {
        let ran = Mutex(0)
        let dying = try await FakeToolServer { _ in
            ran.withLock { $0 += 1 }
            return .response(.closeBeforeResponse)
        }
        let other = try await FakeToolServer { _ in
            ran.withLock { $0 += 1 }
            return .response(.closeBeforeResponse)
        }
        defer { other.stop() }
        let changes = upstreams(dying.url + "/mcp/", ["urls": [.string(other.url + "/mcp/")], "retryWindow": "1s"])
        let search = #"{"type":"search_any","model":"projects","query":"x"}"#
        try await TestGateway.with(dying, changes) { (test) async throws in
            await test.waitUntilReady()
            // Once, and three times again: one of these to the same server, the others to the other one.
            let response = try await test.chat(search, headers: [("Accept", "application/problem+json")])
            #expect(response.status == 502)
            #expect(response.json?["executed"] == "unknown")
            #expect(ran.withLock { $0 } == 4)
        }
    }

    @Test func aReadWhoseServerIsGoneIsAnsweredByTheOther() async throws {
        let dying = Mutex<FakeToolServer?>(nil)
        let first = try await FakeToolServer { _ in
            dying.withLock { $0 }?.stop()
            return .response(.closeBeforeResponse)
        }
        dying.withLock { $0 = first }
        let second = try await FakeToolServer { _ in .results("two") }
        defer { second.stop() }
        let changes = upstreams(first.url + "/mcp/", ["urls": [.string(second.url + "/mcp/")]])
        let search = #"{"type":"search_any","model":"projects","query":"x"}"#
        try await TestGateway.with(first, changes) { (test) async throws in
            await test.waitUntilReady()
            for _ in 0..<4 { #expect(try await test.chat(search).text.contains("two")) }
        }
    }

    @Test func callsWaitForServersThatAreBothRestarted() async throws {
        let first = try await FakeToolServer { _ in .results("one") }
        let second = try await FakeToolServer { _ in .results("two") }
        defer { second.stop() }
        let changes = upstreams(
            first.url + "/mcp/",
            [
                "urls": [.string(second.url + "/mcp/")], "retryWindow": "20s", "probeInterval": "20ms",
                "breaker": ["failures": 1, "pause": "20ms"],
            ])
        try await TestGateway.with(first, changes) { (test) async throws in
            await test.waitUntilReady()
            for _ in 0..<2 { #expect(try await test.chat(Self.hello).status == 200) }
            try await first.stopAndWait()
            try await second.stopAndWait()
            async let waiting = [test.chat(Self.hello).status, test.chat(Self.hello).status]
            #expect(await eventually { test.gateway.requestsInFlight > 0 })
            try await first.restart()
            #expect(try await waiting == [200, 200])
        }
    }

    @Test func thePassThroughGoesToTheFirstServerThatIsUp() async throws {
        let first = try await FakeToolServer { _ in .results("one") }
        let second = try await FakeToolServer { _ in .results("two") }
        defer { second.stop() }
        let changes = upstreams(
            first.url + "/mcp/",
            ["urls": [.string(second.url + "/mcp/")], "retryWindow": "20s", "probeInterval": "20ms"])
        let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
        func pings(_ server: FakeToolServer) -> Int {
            server.requests.filter { String(buffer: $0.body).contains("\"ping\"") }.count
        }
        try await TestGateway.with(first, changes) { (test) async throws in
            await test.waitUntilReady()
            for _ in 0..<3 { #expect(try await test.send("POST", "/mcp/", body: ping).status == 200) }
            #expect(pings(first) == 3)
            try await first.stopAndWait()
            for _ in 0..<3 { #expect(try await test.send("POST", "/mcp/", body: ping).status == 200) }
            #expect(pings(second) == 3)
            // With none of them there, a request waits for one that comes back.
            try await second.stopAndWait()
            async let waiting = test.send("POST", "/mcp/", body: ping).status
            #expect(await eventually { test.gateway.requestsInFlight > 0 })
            try await second.restart()
            #expect(try await waiting == 200)
        }
    }

    @Test func whatIsTooMuchWaitsAndTheRestIsRefused() async throws {
        let door = Door()
        let upstream = try await FakeToolServer { _ in
            await door.pass()
            return .results("x")
        }
        let changes = upstreams(upstream.url + "/mcp/", ["concurrency": 1, "queue": 1, "queueTimeout": "20s"])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            async let first = test.chat(Self.hello)
            #expect(await eventually { upstream.calls.count == 1 })
            // Whichever of the two comes first waits, the other is refused.
            async let second = test.chat(Self.hello)
            async let third = test.chat(Self.hello)
            try await Task.sleep(for: .milliseconds(50))
            door.open()
            let statuses = try await [first.status, second.status, third.status].sorted()
            #expect(statuses == [200, 200, 503])
            #expect(upstream.calls.count == 2)
            #expect(try await test.chat(Self.hello).status == 200)
        }
    }

    @Test func aCallThatWaitsTooLongIsRefusedWithoutHavingRun() async throws {
        let upstream = try await FakeToolServer { _ in .response(.hang) }
        let changes = upstreams(upstream.url + "/mcp/", ["concurrency": 1, "queue": 10, "queueTimeout": "30ms"])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send(
                "POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}")
            #expect(await eventually { upstream.calls.count == 1 })
            let response = try await test.chat(Self.hello, headers: [("Accept", "application/problem+json")])
            #expect(response.status == 503)
            #expect(response.headers.first(name: "Retry-After") == "1")
            #expect(response.json?["label"] == "overloaded")
            #expect(response.json?["executed"] == "no")
            #expect(upstream.calls.count == 1)
            withExtendedLifetime(client) {}
        }
    }

    @Test func clientsThatLeaveTheQueueMakeRoom() async throws {
        let door = Door()
        let upstream = try await FakeToolServer { _ in
            await door.pass()
            return .results("x")
        }
        let changes = upstreams(upstream.url + "/mcp/", ["concurrency": 1, "queue": 2, "queueTimeout": "20s"])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            async let first = test.chat(Self.hello)
            #expect(await eventually { upstream.calls.count == 1 })
            // Each of them takes a place in the queue and gives it back.
            for _ in 0..<6 {
                try await waitInVain(test)
                #expect(await eventually { test.gateway.requestsInFlight == 1 })
            }
            door.open()
            #expect(try await first.status == 200)
            #expect(upstream.calls.count == 1)
        }
    }

    /// Sends a request, sees it wait, and closes the connection.
    private func waitInVain(_ test: TestGateway) async throws {
        let client = try RawSocketClient(port: test.port)
        await client.send(
            "POST /api/chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}")
        #expect(await eventually { test.gateway.requestsInFlight == 2 })
        withExtendedLifetime(client) {}
    }

    @Test func anOpenBreakerAnswersWithoutAskingTheUpstream() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        let breaker: JSONValue = ["failures": 2, "pause": "60s"]
        let changes = upstreams(upstream.url + "/mcp/", ["breaker": breaker])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            await test.waitUntilReady()
            try await upstream.stopAndWait()
            for _ in 0..<2 { #expect(try await test.chat(Self.hello).status == 502) }
            try await upstream.restart()
            let response = try await test.chat(Self.hello, headers: [("Accept", "application/problem+json")])
            #expect(response.status == 502)
            #expect(response.json?["label"] == "upstream_unreachable")
            #expect(response.json?["executed"] == "no")
            #expect(upstream.calls.isEmpty)
        }
    }

    @Test func theBreakersStateIsAMetric() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        let changes = upstreams(upstream.url + "/mcp/", ["breaker": ["failures": 2, "pause": "60s"]])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            func state() async throws -> String? {
                let lines = try await test.admin("/metrics").text.split(separator: "\n")
                let line = lines.first { $0.hasPrefix(#"gateway_upstream_breaker_state{upstream="tools"}"#) }
                return line.flatMap { $0.split(separator: " ").last.map { String($0) } }
            }
            await test.waitUntilReady()
            #expect(try await test.chat(Self.hello).status == 200)
            #expect(try await state() == "0")
            try await upstream.stopAndWait()
            for _ in 0..<2 { #expect(try await test.chat(Self.hello).status == 502) }
            #expect(try await state() == "2")
        }
    }

    @Test func aBoardShowsTheWorstOfItsBreakers() {
        let board = BreakerBoard()
        #expect(board.phase == .closed)
        board.changed(from: .closed, to: .halfOpen)
        #expect(board.phase == .halfOpen)
        board.changed(from: .closed, to: .open)
        #expect(board.phase == .open)
        board.changed(from: .open, to: .closed)
        board.changed(from: .halfOpen, to: .closed)
        #expect(board.phase == .closed)
    }

    @Test func aCheckThatSucceedsEndsThePause() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        let changes = upstreams(
            upstream.url + "/mcp/", ["breaker": ["failures": 1, "pause": "60s"], "probeInterval": "20ms"])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            await test.waitUntilReady()
            try await upstream.stopAndWait()
            #expect(try await test.chat(Self.hello).status == 502)
            try await upstream.restart()
            let returned = await eventually { (try? await test.chat(Self.hello).status) == 200 }
            #expect(returned)
        }
    }

    @Test func anUpstreamMayBeAUnixSocket() async throws {
        let directory = try TemporaryDirectory("socket")
        let path = directory.path("tools.sock")
        let upstream = try await FakeToolServer(unixSocketPath: path) { _ in .results("over a socket") }
        try await TestGateway.with(upstream, upstreams("unix:" + path, [:])) { (test) async throws in
            for _ in 0..<3 { #expect(try await test.chat(Self.hello).text.contains("over a socket")) }
            #expect(Set(upstream.requests.map(\.path)) == ["/mcp/"])
            let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
            #expect(try await test.send("POST", "/mcp/", body: ping).status == 200)
        }
    }

    @Test func noAnswerGoesToAnotherClientWhateverTheUpstreamDoes() async throws {
        let turn = Mutex(0)
        let upstream = try await FakeToolServer { call in
            let number = turn.withLock { turn in
                turn += 1
                return turn
            }
            let own = "Echo: \(call.arguments["message"]?.string ?? "")"
            switch number % 6 {
            case 0: return .response(.closeMidBody())
            case 1: return .response(.closeBeforeResponse)
            case 2:
                return .response(.json(#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"results":"alien"}}}"#))
            case 3: return .response(.json("garbage"))
            default: return .results(.string(own))
            }
        }
        let changes = upstreams(upstream.url + "/mcp/", ["breaker": ["failures": 0]])
        try await TestGateway.with(upstream, changes) { (test) async throws in
            let wrong = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<120 {
                    group.addTask {
                        let response = try await test.chat(#"{"message":"m\#(number)"}"#)
                        let right = #"{"type":"chat","replies":["Echo: m\#(number)"]}"#
                        return !(response.status == 200 ? response.text == right : response.status == 502)
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(wrong == 0)
            // Nothing is left behind.
            #expect(await eventually { test.gateway.requestsInFlight == 0 })
        }
    }
}
