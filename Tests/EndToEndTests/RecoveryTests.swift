import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The tool-server goes away and comes back; nobody tells the gateway.
    @Suite struct Recovery {
        static let search: JSONValue = ["type": "search_projects", "query": "urgent"]

        @Test func aRestartOfTheToolServerIsNotAnError() async throws {
            try await RunningStack.with { stack in
                let client = stack.gateway.client
                let cookie = try await stack.session(of: "alice")
                for _ in 1...2 {
                    #expect(try await client.chat(Self.search).status == 200)
                    #expect(try await client.chat(["type": "get_user_info"], cookie: cookie).status == 200)
                }
                try await stack.toolServer.stop()
                try await stack.startToolServer()
                // The sessions and connections that the gateway keeps are all dead now; a login is not.
                #expect(try await client.chat(Self.search).status == 200)
                let user = try await client.chat(["type": "get_user_info"], cookie: cookie)
                #expect(user.replies?.first?["username"] == "alice")
                #expect(try await client.chat(["message": "Hello"]).status == 200)
            }
        }

        @Test func aStoppedToolServerIsABadGatewayUntilItIsBack() async throws {
            try await RunningStack.with { stack in
                let client = stack.gateway.client
                #expect(try await client.chat(Self.search).status == 200)
                try await stack.toolServer.stop()

                let failure = try await client.chat(Self.search)
                #expect(failure.status == 502)
                #expect(failure.errorText == "MCP error")
                let problem = try await client.chat(
                    ["message": "Hello"], headers: [("Accept", "application/problem+json")])
                #expect(problem.status == 502)
                #expect(try problem.json["label"] == "upstream_unreachable")
                #expect(try problem.json["executed"] == "no")
                // The gateway itself is well, and says that it cannot serve.
                #expect(try await stack.gateway.admin.get("/healthz").status == 200)
                let notReady = await eventually {
                    (try? await stack.gateway.admin.get("/readyz").status) == 503
                }
                #expect(notReady)
                // What needs no upstream still has its own answer.
                #expect(try await client.post("/api/chat/", "{").text == "Invalid JSON")

                try await stack.startToolServer()
                let recovered = await eventually(within: .seconds(10), every: .milliseconds(100)) {
                    (try? await client.chat(Self.search).status) == 200
                }
                #expect(recovered)
                try await stack.gateway.ready()
            }
        }

        @Test func aCallOutlivesAShortRestart() async throws {
            try await RunningStack.with { stack in
                let client = stack.gateway.client
                #expect(try await client.chat(Self.search).status == 200)
                // Refused connections are tried again for up to two seconds; the tool-server starts faster.
                stack.toolServer.process.signal(9)
                try await stack.toolServer.process.exit()
                let start = ContinuousClock.now
                async let answer = client.chat(Self.search)
                try await stack.startToolServer()
                let gap = ContinuousClock.now - start
                let status = try await answer.status
                // A machine that is busy with something else may need longer than the gateway waits.
                #expect(status == 200 || gap > .seconds(1.5), "\(status) after \(gap)")
            }
        }

        @Test func theOldStatusIsKeptWhereConfigured() async throws {
            let directory = try TemporaryDirectory("legacy")
            var configuration = try JSONValue(parsing: Array(Checkout.text("gateway.json").utf8)).object ?? [:]
            configuration["errors"] = "legacy"
            let path = try directory.write(JSONValue.object(configuration).text, to: "gateway.json")
            let gateway = try await RunningService.gateway(
                upstream: "http://127.0.0.1:\(freePort())/mcp/", configuration: path)
            let answer = try await gateway.client.chat(Self.search)
            #expect(answer.status == 500)
            #expect(answer.errorText == "MCP error")
            try await gateway.stop()
        }
    }
}
