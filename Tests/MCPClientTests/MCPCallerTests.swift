import JSON
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// The callback driver against a real HTTP server.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct MCPCallerTests {
    /// Runs the body with a server and a harness, and stops both.
    func with(
        _ rules: FakeMCPServer.Rules = FakeMCPServer.Rules(), shards: Int = 1, path: String = "/mcp",
        change: (inout MCPUpstreamConfiguration) -> Void = { _ in },
        _ body: (FakeMCPServer, CallerHarness) async throws -> Void
    ) async throws {
        let server = try await FakeMCPServer(rules)
        let harness = CallerHarness(url: server.http.url + path, shards: shards, change: change)
        do {
            try await body(server, harness)
        } catch {
            server.http.stop()
            await harness.shutdown()
            throw error
        }
        server.http.stop()
        await harness.shutdown()
    }

    static func rules(_ change: (inout FakeMCPServer.Rules) -> Void) -> FakeMCPServer.Rules {
        var rules = FakeMCPServer.Rules()
        change(&rules)
        return rules
    }

    // MARK: Eras and sessions

    @Test func aLegacyServerIsProbedThenInitializedThenCalled() async throws {
        try await with { server, harness in
            let result = try await harness.call(arguments: #"{"q":"é"}"#, user: "a").success
            #expect(result.json["structuredContent"]?["arguments"]?["q"] == "é")
            #expect(result.era == .legacy)
            #expect(!result.sessionReused)
            #expect(
                server.methods == ["server/discover", "initialize", "notifications/initialized", "tools/call"])
            let call = try #require(server.http.requests.last)
            #expect(call.headers.first(name: "Mcp-Session-Id") == "session-1")
            #expect(call.headers.first(name: "MCP-Protocol-Version") == "2025-11-25")
            #expect(call.headers.first(name: "Cookie") == "sessionid=a")
            #expect(server.http.requests[1].headers.first(name: "MCP-Protocol-Version") == nil)
            let again = try await harness.call(user: "a").success
            #expect(again.sessionReused)
            #expect(server.methods.count == 5)
        }
    }

    @Test func aModernServerIsCalledWithoutASession() async throws {
        try await with(Self.rules { $0.modern = true }) { server, harness in
            for user in ["a", "b", "c"] {
                let result = try await harness.call(user: user).success
                #expect(result.era == .modern)
                #expect(result.json["structuredContent"]?["who"]?.string == "sessionid=\(user)")
            }
            #expect(server.methods == ["server/discover", "tools/call", "tools/call", "tools/call"])
            #expect(server.http.requests.allSatisfy { $0.headers.first(name: "Mcp-Session-Id") == nil })
        }
    }

    @Test(arguments: [false, true])
    func aThousandFirstCallsOverManyShardsCauseOneHandshake(_ modern: Bool) async throws {
        let rules = Self.rules {
            $0.modern = modern
            $0.handshakeDelay = .milliseconds(200)
        }
        try await with(rules, shards: 2) { server, harness in
            let good = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let result = try await harness.call(
                            arguments: #"{"n":\#(number)}"#, user: "a", shard: number % 2, timeout: .seconds(60)
                        ).success
                        return result.json["structuredContent"]?["arguments"]?["n"]?.int == number
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(good == 1000)
            #expect(server.count("server/discover") == 1)
            #expect(server.count("initialize") == (modern ? 0 : 1))
            #expect(server.count("tools/call") == 1000)
            let ids = server.http.requests.compactMap { (try? JSONValue(parsing: $0.text))?["id"]?.text }
            #expect(Set(ids).count == ids.count, "ids are unique")
        }
    }

    @Test func usersNeverShareASession() async throws {
        try await with(shards: 2) { server, harness in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let result = try await harness.call(user: "u\(number % 20)", shard: number % 2).success
                        #expect(result.json["structuredContent"]?["who"]?.string == "sessionid=u\(number % 20)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.count("initialize") == 20)
            var owners: [String: Set<String>] = [:]
            for request in server.http.requests {
                guard let session = request.headers.first(name: "Mcp-Session-Id") else { continue }
                owners[session, default: []].insert(request.headers.first(name: "Cookie") ?? "")
            }
            #expect(owners.count == 20)
            #expect(owners.values.allSatisfy { $0.count == 1 })
        }
    }

    @Test func aServerWithoutSessionIdsWorks() async throws {
        try await with(Self.rules { $0.sessionIDs = false }) { server, harness in
            _ = try await harness.call().success
            _ = try await harness.call().success
            #expect(server.count("initialize") == 1)
            #expect(server.http.requests.allSatisfy { $0.headers.first(name: "Mcp-Session-Id") == nil })
        }
    }

    @Test(arguments: [404, 400])
    func aForgottenSessionIsReplacedAndTheCallSentAgain(_ status: Int) async throws {
        try await with(Self.rules { $0.unknownSession = status }) { server, harness in
            _ = try await harness.call("write", user: "a").success
            server.forgetSessions()
            let result = try await harness.call("write", user: "a").success
            #expect(result.replays == 1)
            #expect(server.executions == ["write", "write"])
            let initializes = server.http.requests.filter { $0.text.contains(#""initialize""#) }
            #expect(initializes.count == 2)
            #expect(initializes.allSatisfy { $0.headers.first(name: "Mcp-Session-Id") == nil })
        }
    }

    @Test func manyCallsOverOneForgottenSessionCauseOneNewHandshake() async throws {
        try await with(Self.rules { $0.handshakeDelay = .milliseconds(50) }) { server, harness in
            _ = try await harness.call(user: "a").success
            server.forgetSessions()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { _ = try await harness.call(user: "a").success } }
                try await group.waitForAll()
            }
            #expect(server.count("initialize") == 2)
            #expect(server.executions.count == 101)
        }
    }

    @Test func aServerThatTurnsModernOrLegacyIsFollowed() async throws {
        try await with { server, harness in
            let first = try await harness.call(user: "a").success
            #expect(first.era == .legacy)
            server.change { ($0.modern, $0.legacy) = (true, false) }
            let second = try await harness.call("write", user: "a").success
            #expect(second.era == .modern)
            server.change { ($0.modern, $0.legacy) = (false, true) }
            let third = try await harness.call("write", user: "a").success
            #expect(third.era == .legacy)
            #expect(server.executions == ["read", "write", "write"])
        }
    }

    @Test func aRedirectIsFollowedOnceAndRemembered() async throws {
        try await with(Self.rules { $0.redirects = true }, path: "/mcp/") { server, harness in
            _ = try await harness.call(user: "a").success
            _ = try await harness.call(user: "b").success
            #expect(server.http.requests.count { $0.path == "/mcp/" } == 1)
            #expect(server.http.requests.filter { $0.path == "/mcp" }.allSatisfy { $0.method == "POST" })
        }
    }

    @Test func aFailedHandshakeFailsEverybodyOfThePartitionWithItsReason() async throws {
        let rules = Self.rules { rules in
            rules.any = { request, _ in
                request.headers.first(name: "Cookie") == "sessionid=bad"
                    ? .delayed(
                        .milliseconds(100),
                        then: .text("no", status: 401, headers: [("WWW-Authenticate", "Bearer realm=x")])) : nil
            }
        }
        try await with(rules) { server, harness in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let failure = try await harness.call(user: "bad").problem
                        #expect(failure.kind == .unauthorized)
                        #expect(failure.executed == .no)
                        #expect(failure.wwwAuthenticate == ["Bearer realm=x"])
                    }
                    group.addTask { _ = try await harness.call(user: "good").success }
                }
                try await group.waitForAll()
            }
            #expect(server.executions.count == 20)
        }
    }

    @Test func aWaiterThatGivesUpDoesNotEndTheHandshakeForOthers() async throws {
        try await with(Self.rules { $0.handshakeDelay = .milliseconds(300) }) { server, harness in
            async let first = harness.call(user: "a", timeout: .milliseconds(100))
            async let second = harness.call(user: "a", cancelAfter: .milliseconds(100))
            async let third = harness.call(user: "a")
            let early = try await first.problem
            #expect(early.kind == .timeout)
            #expect(early.executed == .no)
            #expect(try await second.problem.kind == .cancelled)
            _ = try await third.success
            #expect(server.count("initialize") == 1)
            #expect(server.executions.count == 1)
        }
    }

    @Test func evictedSessionsAreDeletedAtTheServer() async throws {
        try await with(change: { $0.sessionLimit = 2 }) { server, harness in
            for user in ["a", "b", "c"] { _ = try await harness.call(user: user).success }
            try await server.http.waitUntil { $0.requests.contains { $0.method == "DELETE" } }
            let deletion = try #require(server.http.requests.first { $0.method == "DELETE" })
            #expect(deletion.headers.first(name: "Mcp-Session-Id") == "session-1")
            #expect(deletion.headers.first(name: "Cookie") == "sessionid=a")
            await harness.upstream.close(harness.engines[0])
            #expect(server.http.requests.count { $0.method == "DELETE" } == 3)
            #expect(server.state.withLock { $0.sessions.isEmpty })
        }
    }

    // MARK: Recovery

    @Test func callsSurviveARestartOnTheSamePort() async throws {
        try await with { server, harness in
            try await harness.refreshCatalog()
            _ = try await harness.call("write", user: "a").success
            try await server.http.stopAndWait()
            server.forgetSessions()
            async let write = harness.call("write", user: "a")
            async let read = harness.call("read", user: "a")
            try await Task.sleep(for: .milliseconds(300))
            try await server.http.restart()
            _ = try await write.success
            _ = try await read.success
            #expect(server.executions.sorted() == ["read", "write", "write"])
        }
    }

    @Test func aServerThatStaysAwayIsUnreachableAfterTheWindow() async throws {
        try await with(change: { $0.retryWindow = .milliseconds(300) }) { server, harness in
            try await server.http.stopAndWait()
            let failure = try await harness.call("write").problem
            #expect(failure.kind == .unreachable)
            #expect(failure.executed == .no)
        }
    }

    @Test func aConnectionThatBreaksMidCallRunsAWriteOnceAndAReadAgain() async throws {
        let broken = Mutex(false)
        let rules = Self.rules { rules in
            rules.call = { _, _ in
                broken.withLock { done in
                    defer { done = true }
                    return done ? nil : .closeBeforeResponse
                }
            }
        }
        try await with(rules) { server, harness in
            try await harness.refreshCatalog()
            let failure = try await harness.call("write", user: "a").problem
            #expect(failure.kind == .unreachable)
            #expect(failure.executed == .unknown)
            #expect(failure.replays == 0)
            #expect(server.executions == ["write"])
            broken.withLock { $0 = false }
            // libcurl may send a read again by itself; either way it runs twice at most.
            _ = try await harness.call("read", user: "a").success
            #expect(server.executions == ["write", "read", "read"])
        }
    }

    @Test func anUntrustedUpstreamsAnnotationsAreNotBelieved() async throws {
        let rules = Self.rules { $0.call = { _, _ in .closeBeforeResponse } }
        try await with(rules, change: { $0.trusted = false }) { server, harness in
            try await harness.refreshCatalog()
            let failure = try await harness.call("read").problem
            #expect(failure.executed == .unknown)
            #expect(server.executions == ["read"])
        }
    }

    @Test func aConnectionThatClosesMidBodyIsAFailureThatMayHaveRun() async throws {
        try await with(Self.rules { $0.call = { _, _ in .closeMidBody() } }) { server, harness in
            let failure = try await harness.call("write").problem
            #expect(failure.kind == .unreachable)
            #expect(failure.executed == .unknown)
            #expect(server.executions == ["write"])
        }
    }
}
