import CurlTransport
import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The configuration of `deploy/nginx` as it ships, in front of the gateway.
    @Suite(.enabled(if: NginxProcess.isInstalled, "nginx is not installed; deploy/local/packages test installs it"))
    struct BehindNginx {
        let stack: RunningStack

        init() throws { stack = try RunningStack.current }

        private func withNginx(
            gateway: String? = nil, tls: Bool = false, _ body: (NginxProcess) async throws -> Void
        ) async throws {
            let nginx = try await NginxProcess.start(gateway: gateway ?? stack.gateway.address, tls: tls)
            do {
                try await body(nginx)
            } catch {
                print(nginx.process.log)
                try? await nginx.stop()
                throw error
            }
            try await nginx.stop()
        }

        @Test func aTypeIsPostedAndAnswered() async throws {
            try await withNginx { nginx in
                let answer = try await nginx.client.chat(
                    ["type": "search_any", "model": "projects", "query": "urgent"],
                    headers: [("X-Request-Id", "through-nginx-1")])
                #expect(answer.status == 200)
                #expect(answer.replies?.contains(["name": "Urgent Q2", "url": "/psm/project/123/"]) == true)
                #expect(answer.header("X-Request-Id") == "through-nginx-1")
                let logged = await eventually { nginx.accessLog.contains("through-nginx-1") }
                #expect(logged)
                let line = try #require(nginx.accessLog.split(separator: "\n").last)
                let entry = try JSONValue(parsing: Array(line.utf8))
                #expect(entry["status"] == 200)
                #expect(entry["path"] == "/api/chat/")
            }
        }

        @Test func loginAndItsCookieWork() async throws {
            let name = "proxied\(UInt32.random(in: 0 ... .max))"
            try await stack.addUser(name, password: "correct horse battery")
            try await withNginx { nginx in
                let login = try await nginx.client.post(
                    "/auth/login", json: ["username": .string(name), "password": "correct horse battery"],
                    headers: [("Origin", nginx.url)])
                let cookie = try #require(login.cookie("sessionid"))
                // Origin and Host agree through nginx: it passes the port on.
                let user = try await nginx.client.chat(
                    ["type": "get_user_info"], cookie: cookie, headers: [("Origin", nginx.url)])
                #expect(user.replies?.first?["username"]?.string == name)
                let foreign = try await nginx.client.chat(
                    ["type": "get_user_info"], cookie: cookie, headers: [("Origin", "https://elsewhere.example")])
                #expect(foreign.status == 403)
            }
        }

        @Test func anMCPClientWorksThroughNginx() async throws {
            try await withNginx { nginx in
                var mcp = MCPTestClient(nginx.client)
                _ = try await mcp.initialize()
                let result = try await mcp.result(
                    "tools/call", id: 2, params: ["name": "echo", "arguments": ["message": "Hello"]])
                #expect(result["structuredContent"] == ["Echo": "Hello"])
                let modern = try await MCPTestClient(nginx.client).modernResult("server/discover", id: 1)
                #expect(modern["supportedVersions"] != nil)
            }
        }

        @Test func eventsPassOneByOne() async throws {
            let upstream = try await ScriptedHTTPServer { _ in
                .events([
                    (.zero, "data: 1\n\n"), (.milliseconds(400), "data: 2\n\n"), (.milliseconds(400), "data: 3\n\n"),
                ])
            }
            defer { upstream.stop() }
            let gateway = try await RunningService.gateway(upstream: upstream.url + "/mcp/")
            try await withNginx(gateway: gateway.address) { nginx in
                let response = try await nginx.client.stream(
                    "GET", "/mcp/", headers: [("Accept", "text/event-stream")])
                #expect(response.status == 200)
                var arrivals: [ContinuousClock.Instant] = []
                for try await _ in response.body { arrivals.append(.now) }
                #expect(try #require(arrivals.last) - arrivals[0] > .milliseconds(600), "buffered")
            }
            try await gateway.stop()
        }

        @Test func ourLimitsAnswerNotThoseOfNginx() async throws {
            try await withNginx { nginx in
                let message = String(repeating: "x", count: 2_700_000)
                let large = try await nginx.client.post("/api/chat/", #"{"message":"\#(message)"}"#)
                #expect(large.status == 413)
                #expect(large.errorText != nil)
                let headers = try await nginx.client.chat(
                    ["message": "x"], headers: [("X-Large", String(repeating: "x", count: 36_000))])
                #expect(headers.status == 431)
                #expect(headers.errorText != nil)
            }
        }

        @Test func aDeadUpstreamIsOurBadGateway() async throws {
            let gateway = try await RunningService.gateway(upstream: "http://127.0.0.1:\(freePort())/mcp/")
            try await withNginx(gateway: gateway.address) { nginx in
                let answer = try await nginx.client.chat(Recovery.search)
                #expect(answer.status == 502)
                #expect(answer.errorText == "MCP error")
            }
            try await gateway.stop()
        }

        @Test func tlsNeedsOnlyTheIncludeAndACertificate() async throws {
            try await withNginx(tls: true) { nginx in
                let port = try #require(nginx.tlsPort)
                let curl = try await ChildProcess.run(
                    .init(
                        "curl",
                        [
                            "-sS", "-i", "--cacert", nginx.certificate, "https://localhost:\(port)/api/chat/",
                            "-d", #"{"type":"search_projects","query":"urgent"}"#,
                        ]))
                #expect(curl.output.contains("Urgent Q2"), "\(curl.error)")
                #expect(curl.output.lowercased().contains("strict-transport-security"))
                let plain = try await nginx.client.chat(Recovery.search)
                #expect(plain.status == 308)
            }
        }
    }
}
