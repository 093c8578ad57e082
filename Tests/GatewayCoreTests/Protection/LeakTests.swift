import CurlTransport
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Many users at once through one gateway: nobody may ever be served as somebody else.
@Suite struct LeakTests {
    /// A tool-server that forgets its sessions now and then, as one that restarts or evicts does, and that knows to
    /// whom each session belongs.
    private final class Sessions: Sendable {
        struct State {
            var owners: [String: String] = [:]
            var next = 0
            var calls = 0
            var leaks: [String] = []
            var ended = 0
        }
        let state = Mutex(State())

        private static func user(_ request: ScriptedRequest) -> String {
            let cookie = request.header("Cookie")
            let token = request.header("Authorization")
            return [cookie, token].compactMap { $0 }.joined(separator: " and ")
        }

        func answer(_ request: ScriptedRequest, restartEvery: Int) -> ScriptedResponse {
            let user = Self.user(request)
            guard request.method == "POST" else {
                state.withLock { state in
                    state.ended += 1
                    state.owners[request.header("Mcp-Session-Id") ?? ""] = nil
                }
                return .empty(204)
            }
            guard let message = ScriptedMCPMessage(request) else { return .empty(400) }
            if message.method == "initialize" {
                let session = state.withLock { state in
                    state.next += 1
                    state.owners["session-\(state.next)"] = user
                    return "session-\(state.next)"
                }
                return message.opened(session: session)
            }
            guard message.id != nil else { return .empty(202) }
            let session = request.header("Mcp-Session-Id") ?? ""
            let isKnown = state.withLock { state in
                state.calls += 1
                if state.calls % restartEvery == 0 { state.owners = [:] }
                guard let owner = state.owners[session] else { return false }
                if owner != user { state.leaks.append("\(owner) used by \(user)") }
                return true
            }
            guard isKnown else { return .empty(404) }
            guard message.method == "tools/call" else {
                return message.result(["tools": FakeToolServer.shippedTools])
            }
            return message.result([
                "content": [["type": "text", "text": .string(user)]],
                "structuredContent": [
                    "results": ["user": .string(user), "said": message.json["params"]?["arguments"] ?? .null]
                ],
            ])
        }
    }

    @Test(arguments: [1, 3])
    func eachOfManyUsersSeesOnlyItself(_ workers: Int) async throws {
        // Under a sanitizer fewer, but still more than sessions: a handshake has a time limit.
        let users = Sanitizer.current == nil ? 300 : 60
        let sessions = Sessions()
        let server = try await ScriptedHTTPServer { sessions.answer($0, restartEvery: users * 5) }
        defer { server.stop() }
        var document = try #require(TestConfiguration.document(upstream: server.url).object)
        document["workers"] = .number(JSONNumber(workers))
        // Far fewer sessions than users: most calls meet an eviction somewhere.
        document["upstreams"] = [
            "tools": [
                "url": .string(server.url + "/mcp/"), "trusted": true, "era": "legacy", "probeInterval": "60s",
                "sessionLimit": 40,
                "connectTimeout": "60s",
            ]
        ]
        let configuration = try TestConfiguration.read(.object(document))
        let test = try await TestGateway.start { configuration }
        let wrong = try await withThrowingTaskGroup(of: String?.self) { group in
            for user in 0..<users {
                group.addTask {
                    // Half of them bring a cookie, half a token; some values begin like others.
                    let isCookie = user % 2 == 0
                    let value = "u\(user)"
                    let headers: CurlHeaders =
                        isCookie
                        ? [("Cookie", "theme=dark; sessionid=\(value)")] : [("Authorization", "Bearer \(value)")]
                    let expected = isCookie ? "sessionid=\(value)" : "Bearer \(value)"
                    for call in 0..<6 {
                        let response = try await test.chat(
                            #"{"type": "get_user_info", "message": "\#(user)-\#(call)"}"#, headers: headers)
                        let seen = response.json?["replies"]?[0]?["user"]?.string
                        if response.status != 200 || seen != expected {
                            return "\(expected) got \(response.status) \(seen ?? response.text)"
                        }
                    }
                    return nil
                }
            }
            return try await group.reduce(into: [String]()) { if let wrong = $1 { $0.append(wrong) } }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(5))")
        let state = sessions.state.withLock { $0 }
        #expect(state.leaks.isEmpty, "\(state.leaks.prefix(5))")
        #expect(state.calls >= users * 6)
        #expect(state.next > users, "sessions were evicted and opened again")
        await test.stop()
    }
}
