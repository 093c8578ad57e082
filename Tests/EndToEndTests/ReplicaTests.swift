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

        /// Ways to end what a user's cookie proves.
        enum LoginEnd: CaseIterable { case logout, revocation, newPassword, disabling, deletion }

        @Test(arguments: LoginEnd.allCases) func aLoginThatEndsIsOverAtEveryReplica(end: LoginEnd) async throws {
            let url = try await PostgreSQLServer.shared().urlOfNewSchema()
            func command(_ arguments: String...) async throws -> String {
                let finished = try await ChildProcess.run(
                    .init(BuiltProduct.toolServer.path, arguments + ["--database", url]))
                #expect(finished.succeeded, "\(finished.error)")
                return finished.output.trimmingCharacters(in: .newlines)
            }
            _ = try await command("user", "add", "carol")
            let cookie = ("Cookie", "sessionid=" + (try await command("session", "new", "carol")))
            var replicas: [RunningService] = []
            for _ in 0..<2 {
                replicas.append(
                    try await RunningService.toolServer(
                        database: url, environment: ["TOOL_SERVER_SESSION_KEY": Self.key]))
            }
            var mcp = MCPTestClient(replicas[0].client, headers: [cookie])
            _ = try await mcp.initialize()
            // Both hold the MCP session and have served its user.
            for replica in replicas { #expect(try await user(mcp, at: replica) == "carol") }
            switch end {
            case .logout:
                #expect(try await replicas[0].client.post("/auth/logout", "", headers: [cookie]).status == 200)
            case .revocation: _ = try await command("session", "revoke", "carol", "--all")
            case .newPassword: _ = try await command("user", "password", "carol")
            case .disabling: _ = try await command("user", "disable", "carol")
            case .deletion: _ = try await command("delete", "carol", "--yes")
            }
            for replica in replicas {
                let answer = try await replica.client.post("/mcp/get_user_info", "{}", headers: [cookie])
                #expect(try answer.json == ["error": "Not authenticated"])
                let moved = MCPTestClient(replica.client, headers: mcp.headers)
                #expect(try await moved.post("tools/list", id: 12, params: [:]).status == 404)
                try await replica.stop()
            }
        }

        @Test func aReplicaThatHoldsASessionHearsOfItsEnd() async throws {
            let url = try await PostgreSQLServer.shared().urlOfNewSchema()
            var replicas: [RunningService] = []
            for _ in 0..<2 {
                replicas.append(
                    try await RunningService.toolServer(
                        database: url, environment: ["TOOL_SERVER_SESSION_KEY": Self.key]))
            }
            func opened() async throws -> MCPTestClient {
                var mcp = MCPTestClient(replicas[0].client)
                _ = try await mcp.initialize()
                return mcp
            }
            func status(_ mcp: MCPTestClient, at replica: RunningService) async throws -> Int {
                try await MCPTestClient(replica.client, headers: mcp.headers).post("tools/list", id: 3, params: [:])
                    .status
            }
            let (ended, alive) = (try await opened(), try await opened())
            for mcp in [ended, alive] {
                for replica in replicas { #expect(try await status(mcp, at: replica) == 200) }
            }
            #expect(try await replicas[0].client.send("DELETE", "/mcp/", headers: ended.headers).status == 204)
            #expect(try await status(ended, at: replicas[0]) == 404)
            #expect(try await eventually(within: .seconds(30)) { try await status(ended, at: replicas[1]) == 404 })
            for replica in replicas {
                #expect(try await status(alive, at: replica) == 200)
                try await replica.stop()
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
