import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Two tool-servers with one database and one session key.
    @Suite struct Replicas {
        private static let key = "end-to-end-session-key-7f3a9c"

        private func replica(_ stack: RunningStack, key: String = key) async throws -> RunningService {
            let service = try await RunningService.toolServer(
                database: stack.database, environment: ["TOOL_SERVER_SESSION_KEY": key])
            try await service.ready()
            return service
        }

        private func user(_ mcp: MCPTestClient, at service: RunningService) async throws -> JSONValue? {
            var moved = MCPTestClient(service.client, headers: mcp.headers)
            moved.headers = mcp.headers
            return try await moved.result(
                "tools/call", id: .number(JSONNumber(Int.random(in: 1...1_000_000))),
                params: ["name": "get_user_info", "arguments": [:]])["structuredContent"]?["results"]?["username"]
        }

        @Test func aSessionMovesBetweenReplicasAndOutlivesOne() async throws {
            try await RunningStack.with { stack in
                let (first, second) = (try await replica(stack), try await replica(stack))
                let alice = try await stack.session(of: "alice")
                let bob = try await stack.session(of: "bob")
                var mcp = MCPTestClient(first.client, headers: [("Cookie", "sessionid=\(alice)")])
                _ = try await mcp.initialize()
                #expect(try await user(mcp, at: first) == "alice")
                #expect(try await user(mcp, at: second) == "alice")

                // Another user, or nobody, has no such session anywhere.
                let stolen = mcp.headers.filter { $0.name != "Cookie" }
                for cookie: HTTPTestClient.Headers in [[("Cookie", "sessionid=\(bob)")], []] {
                    for service in [first, second] {
                        let thief = MCPTestClient(service.client, headers: stolen + cookie)
                        #expect(try await thief.post("tools/list", id: 9, params: [:]).status == 404)
                    }
                }

                first.process.signal(9)
                try await first.process.exit()
                #expect(try await user(mcp, at: second) == "alice")
                // One that comes back goes on where it was.
                let third = try await replica(stack)
                #expect(try await user(mcp, at: third) == "alice")

                #expect(try await third.client.send("DELETE", "/mcp/", headers: mcp.headers).status == 204)
                let moved = MCPTestClient(third.client, headers: mcp.headers)
                #expect(try await moved.post("tools/list", id: 10, params: [:]).status == 404)

                let other = try await replica(stack, key: "another-key-that-is-long-enough")
                let foreign = MCPTestClient(other.client, headers: mcp.headers)
                #expect(try await foreign.post("tools/list", id: 11, params: [:]).status == 404)
                for service in [second, third, other] { try await service.stop() }
            }
        }

        @Test func theGatewayKeepsItsSessionsOverARestart() async throws {
            try await RunningStack.with(toolServerEnvironment: ["TOOL_SERVER_SESSION_KEY": Self.key]) { stack in
                let client = stack.gateway.client
                let cookie = try await stack.session(of: "alice")
                #expect(try await client.chat(["type": "get_user_info"], cookie: cookie).status == 200)
                var mcp = MCPTestClient(client, headers: [("Cookie", "sessionid=\(cookie)")])
                _ = try await mcp.initialize()
                try await stack.toolServer.stop()
                try await stack.startToolServer(environment: ["TOOL_SERVER_SESSION_KEY": Self.key])
                // A client of the pass-through has nobody to open a new session for it.
                let result = try await mcp.result(
                    "tools/call", id: 5, params: ["name": "get_user_info", "arguments": [:]])
                #expect(result["structuredContent"]?["results"]?["username"] == "alice")
                #expect(try await client.chat(["type": "get_user_info"], cookie: cookie).status == 200)
            }
        }

        @Test func aShortKeyIsRefused() async throws {
            let directory = try TemporaryDirectory("key")
            let finished = try await ChildProcess.run(
                .init(
                    BuiltProduct.toolServer.path,
                    ["--transport", "http", "--port", "0", "--database", directory.path("x.sqlite")],
                    environment: ["TOOL_SERVER_SESSION_KEY": "short-key-5d1e"]))
            #expect(!finished.succeeded)
            #expect(finished.error.contains("sessionKey"))
            #expect(!finished.error.contains("short-key-5d1e"))
        }
    }
}
