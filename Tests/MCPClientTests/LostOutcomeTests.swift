import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import MCPClient

/// A transport that takes a request and never says another word.
@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness))) struct LostOutcomeTests {
    private func with(
        losing name: String, modern: Bool = false, change: (inout MCPUpstreamConfiguration) -> Void = { _ in },
        _ body: (FakeMCPServer, CallerHarness) async throws -> Void
    ) async throws {
        var rules = FakeMCPServer.Rules()
        rules.modern = modern
        let server = try await FakeMCPServer(rules)
        let harness = CallerHarness(
            url: server.url, loses: { Self.method(of: $0) == name }, change: change)
        defer { server.http.stop() }
        do {
            try await body(server, harness)
        } catch {
            await harness.shutdown()
            throw error
        }
        await harness.shutdown()
    }

    private static func method(of request: CurlRequest) -> String? {
        guard case .bytes(let body) = request.body else { return nil }
        return (try? JSONValue(parsing: Array(body.readableBytesView)))?["method"]?.string
    }

    @Test(arguments: [false, true])
    func aCallEndsWithATimeoutNevertheless(_ modern: Bool) async throws {
        try await with(losing: "tools/call", modern: modern) { server, harness in
            let catalog = try await harness.refreshCatalog()
            #expect(catalog["read"] != nil)
            let failure = try await harness.call("write", timeout: .seconds(2)).problem
            #expect(failure.kind == .timeout)
            #expect(failure.executed == .unknown)
            if !modern {
                #expect(await eventually { server.count("notifications/cancelled") == 1 })
            }
            #expect(server.count("tools/call") == 0)
        }
    }

    @Test func manyCallsEndAndNoneIsForgotten() async throws {
        try await with(losing: "tools/call") { _, harness in
            try await harness.refreshCatalog()
            let kinds = try await withThrowingTaskGroup(of: MCPCallError.Kind.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let timeout = TimeAmount.milliseconds(Int64(20 + number % 7 * 60))
                        let outcome = try await harness.call(
                            "write", timeout: number % 5 == 0 ? .seconds(30) : timeout,
                            cancelAfter: number % 5 == 0 ? .milliseconds(30) : nil)
                        return try outcome.problem.kind
                    }
                }
                return try await group.reduce(into: [MCPCallError.Kind: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(kinds == [.timeout: 40, .cancelled: 10])
        }
    }

    @Test(arguments: ["server/discover", "initialize"])
    func aHandshakeThatGotLostDoesNotBlockLaterCalls(_ method: String) async throws {
        try await with(losing: method, change: { $0.handshakeTimeout = .milliseconds(50) }) { _, harness in
            for _ in 0..<2 {
                let failure = try await harness.call(timeout: .seconds(30)).problem
                #expect(failure.kind == .timeout)
                #expect(failure.executed == .no)
            }
        }
    }
}
