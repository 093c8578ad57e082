import JSON
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// Server-to-client streams, and the renewal of header annotations.
@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness))) struct ListenTests {
    private let base = MCPClientTests()

    private static let change =
        #"data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"# + "\n\n"

    private func listening(
        _ rules: FakeMCPServer.Rules,
        _ body: @escaping (FakeMCPServer, MCPClient, Task<Void, any Error>) async throws -> Void
    ) async throws -> [String] {
        let told = Mutex<[String]>([])
        let handlers = MCPClientHandlers(onNotification: { note in told.withLock { $0.append(note.method) } })
        try await base.with(rules, handlers: handlers) { server, client in
            let filter = SubscriptionFilter(toolsListChanged: true)
            let task = Task { try await client.listen(to: filter) }
            try await body(server, client, task)
            task.cancel()
            _ = await task.result
        }
        return told.withLock { $0 }
    }

    @Test func aBrokenLegacyStreamIsTakenUpAfterItsLastEvent() async throws {
        let gets = Mutex<[String?]>([])
        let rules = MCPClientTests.rules { rules in
            rules.any = { request, _ in
                guard request.method == "GET" else { return nil }
                let count = gets.withLock { gets in
                    gets.append(request.headers.first(name: "Last-Event-ID"))
                    return gets.count
                }
                if count > 2 { return .hang }
                return .events([(.zero, "id: e\(count)\nretry: 10\n" + Self.change)])
            }
        }
        let told = try await listening(rules) { server, _, task in
            try await server.http.waitUntil { _ in gets.withLock { $0.count == 3 } }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(gets.withLock { $0 } == [nil, "e1", "e2"])
        #expect(told == ["notifications/tools/list_changed", "notifications/tools/list_changed"])
    }

    @Test func theServersPauseCountsWithinBounds() {
        let own = TimeAmount.milliseconds(500)
        #expect(ListenDriver.pause(asked: nil, own: own) == own)
        #expect(ListenDriver.pause(asked: .milliseconds(300), own: own) == .milliseconds(300))
        #expect(ListenDriver.pause(asked: .zero, own: own) == .milliseconds(100))
        #expect(ListenDriver.pause(asked: .hours(10), own: own) == .seconds(60))
    }

    @Test func aServerWithoutAStreamIsAFailure() async throws {
        let rules = MCPClientTests.rules { rules in
            rules.any = { request, _ in request.method == "GET" ? .empty(405) : nil }
        }
        _ = try await listening(rules) { _, _, task in
            await #expect { try await task.value } throws: { ($0 as? MCPCallError)?.status == 405 }
        }
    }

    @Test func anEndedSessionIsReplacedAndListenedOnAgain() async throws {
        let sessions = Mutex<[String]>([])
        let rules = MCPClientTests.rules { rules in
            rules.any = { request, _ in
                guard request.method == "GET" else { return nil }
                let session = request.headers.first(name: "Mcp-Session-Id") ?? "none"
                let count = sessions.withLock { sessions in
                    sessions.append(session)
                    return sessions.count
                }
                return count == 1 ? .empty(404) : .hang
            }
        }
        _ = try await listening(rules) { server, _, _ in
            try await server.http.waitUntil { _ in sessions.withLock { $0.count == 2 } }
        }
        #expect(sessions.withLock { $0 } == ["session-1", "session-2"])
    }

    @Test func questionsOnTheStreamAreAnswered() async throws {
        let question = #"data: {"jsonrpc":"2.0","id":"p","method":"ping"}"# + "\n\n"
        let rules = MCPClientTests.rules { rules in
            rules.any = { request, _ in request.method == "GET" ? .events([(.zero, "id: 1\n" + question)]) : nil }
        }
        _ = try await listening(rules) { server, _, _ in
            try await server.http.waitUntil { server in
                server.requests.contains { $0.text.contains(#""id":"p""#) && $0.text.contains("result") }
            }
        }
    }

    @Test func aBrokenModernStreamIsAskedForAgainWithANewID() async throws {
        let ids = Mutex<[JSONValue]>([])
        let rules = MCPClientTests.rules { rules in
            rules.modern = true
            rules.any = { _, message in
                guard message["method"] == "subscriptions/listen" else { return nil }
                let count = ids.withLock { ids in
                    ids.append(message["id"] ?? .null)
                    return ids.count
                }
                return count < 3 ? .events([(.zero, Self.change)]) : .hang
            }
        }
        let told = try await listening(rules) { server, _, _ in
            try await server.http.waitUntil { _ in ids.withLock { $0.count == 3 } }
        }
        #expect(Set(ids.withLock { $0 }.map(\.text)).count == 3)
        #expect(told.count == 2)
    }

    @Test func aModernSubscriptionThatTheServerEndsIsOver() async throws {
        let rules = MCPClientTests.rules { rules in
            rules.modern = true
            rules.any = { _, message in
                guard message["method"] == "subscriptions/listen" else { return nil }
                return .json(
                    #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"resultType":"complete"}}"#)
            }
        }
        _ = try await listening(rules) { _, _, task in
            try await task.value
        }
    }

    // MARK: Header annotations

    private static func tools(_ header: String?) -> JSONValue {
        var region: JSONObject = ["type": "string"]
        if let header { region["x-mcp-header"] = .string(header) }
        return [["name": "write", "inputSchema": ["type": "object", "properties": ["region": .object(region)]]]]
    }

    /// A server that wants the header, of which the client's list does not know yet.
    private func calling(_ after: String?) async throws -> (Result<CallToolResult, any Error>, FakeMCPServer) {
        let made = Mutex<(Result<CallToolResult, any Error>, FakeMCPServer)?>(nil)
        let rules = MCPClientTests.rules { rules in
            rules.modern = true
            rules.tools = Self.tools(nil)
            rules.any = { request, message in
                guard message["method"] == "tools/call", request.headers.first(name: "Mcp-Param-Region") == nil else {
                    return nil
                }
                return .json(FakeMCPServer.error(message, -32020), status: 400)
            }
        }
        try await base.with(rules) { server, client in
            _ = try await client.listTools()
            server.change { $0.tools = Self.tools(after) }
            let outcome: Result<CallToolResult, any Error>
            do {
                outcome = .success(try await client.callTool("write", arguments: ["region": "eu"]))
            } catch {
                outcome = .failure(error)
            }
            made.withLock { $0 = (outcome, server) }
        }
        return try #require(made.withLock { $0 })
    }

    @Test func aHeaderMismatchListsTheToolsAnewAndCallsOnceMore() async throws {
        let (outcome, server) = try await calling("Region")
        _ = try outcome.get()
        #expect(server.count("tools/list") == 2)
        #expect(server.count("tools/call") == 2)
        #expect(server.executions == ["write"])
    }

    @Test func aHeaderMismatchThatTheListDoesNotExplainIsReported() async throws {
        let (outcome, server) = try await calling(nil)
        #expect { try outcome.get() } throws: { error in
            (error as? MCPCallError)?.rpcError?.code == -32020 && (error as? MCPCallError)?.executed == .no
        }
        #expect(server.count("tools/call") == 1)
        #expect(server.executions.isEmpty)
    }
}
