import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Answers of a provider that take their time, and clients that do not wait for them.
    @Suite struct StreamedAnswers {
        private static let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"piece \"}}]}\n\n"

        /// What the provider does while the client is still there.
        enum Manner: String, CaseIterable, Sendable, CustomTestStringConvertible {
            case silent, talking, whole
            var testDescription: String { rawValue }

            var response: ScriptedResponse {
                switch self {
                case .silent: .events([(.seconds(60), token)])
                case .talking: .events([(.zero, token), (.seconds(60), token)])
                case .whole: .hang
                }
            }
        }

        private func withStack(
            _ provider: ScriptedHTTPServer, gatewayEnvironment: [String: String] = [:],
            _ body: (RunningStack) async throws -> Void
        ) async throws {
            try await RunningStack.with(
                toolServerEnvironment: [
                    "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "slow", "AI_API_KEY": "key-of-the-test",
                ], gatewayEnvironment: gatewayEnvironment, body)
        }

        private func request(_ manner: Manner, cookie: String) -> String {
            let body = #"{"type":"chat","message":"tell me everything"}"#
            let accept = manner == .whole ? "application/json" : "text/event-stream"
            return "POST /api/chat/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + "Accept: \(accept)\r\nCookie: sessionid=\(cookie)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }

        /// Asks, waits until the provider is at it, and leaves.
        private func askAndLeave(_ port: Int, _ manner: Manner, _ provider: ScriptedHTTPServer, cookie: String)
            async throws
        {
            let client = try RawSocketClient(port: port)
            await client.send(request(manner, cookie: cookie))
            try await provider.waitUntil { $0.requests.count == 1 }
            if manner == .talking {
                let seen = await client.receive { $0.contains("piece ") }
                #expect(seen.contains("event: delta"))
            }
            #expect(provider.log.openConnections == 1)
            withExtendedLifetime(client) {}
        }

        @Test(arguments: Manner.allCases)
        func aClientThatLeavesEndsTheProvidersCall(_ manner: Manner) async throws {
            let provider = try await ScriptedHTTPServer { _ in manner.response }
            defer { provider.stop() }
            try await withStack(provider) { stack in
                let alice = try await stack.session(of: "alice")
                let before = try await stack.gateway.client.chat(["type": "history"], cookie: alice).replies
                try await askAndLeave(stack.gateway.port, manner, provider, cookie: alice)
                // Long before the provider would have gone on.
                try await provider.waitUntil { $0.openConnections == 0 }
                // Nothing half-said is stored.
                #expect(try await stack.gateway.client.chat(["type": "history"], cookie: alice).replies == before)
                let log = await eventually { stack.gateway.process.log.contains("\"http.status\":499") }
                #expect(log)
            }
        }

        @Test(.enabled(if: NginxProcess.isInstalled, "nginx is not installed"), arguments: [Manner.silent, .talking])
        func soDoesOneBehindNginx(_ manner: Manner) async throws {
            let provider = try await ScriptedHTTPServer { _ in manner.response }
            defer { provider.stop() }
            try await withStack(provider) { stack in
                let nginx = try await NginxProcess.start(gateway: stack.gateway.address)
                do {
                    let alice = try await stack.session(of: "alice")
                    try await askAndLeave(nginx.port, manner, provider, cookie: alice)
                    try await provider.waitUntil { $0.openConnections == 0 }
                } catch {
                    try? await nginx.stop()
                    throw error
                }
                try await nginx.stop()
            }
        }

        @Test(arguments: [Manner.whole, .silent, .talking])
        func theTypesTimeEndsTheProvidersCall(_ manner: Manner) async throws {
            let provider = try await ScriptedHTTPServer { _ in manner.response }
            defer { provider.stop() }
            try await withStack(provider, gatewayEnvironment: ["GATEWAY_CHAT_TYPES_CHAT_TIMEOUT": "700ms"]) { stack in
                let accept = manner == .whole ? "application/problem+json" : "text/event-stream"
                let answer = try await stack.gateway.client.chat(
                    ["type": "chat", "message": "x"], headers: [("Accept", accept)])
                if manner == .whole {
                    #expect(answer.status == 504)
                    #expect(try answer.json["label"] == "upstream_timeout")
                    #expect(try answer.json["executed"] == "unknown")
                } else {
                    #expect(answer.status == 200)
                    #expect(answer.text.contains("event: error\ndata: {\"status\":504,\"error\":\"MCP error\""))
                }
                try await provider.waitUntil { $0.openConnections == 0 }
                #expect(provider.requests.count == 1)
            }
        }

        @Test func theToolsThatTheModelCallsAreNamedOnTheWay() async throws {
            let call =
                #"{"index":0,"id":"c","type":"function","function":{"name":"echo","arguments":"{\"message\":\"x\"}"}}"#
            let provider = try await ScriptedHTTPServer { request in
                let asked = request.text.contains(#""role":"tool""#)
                let delta = asked ? #"{"content":"Done."}"# : #"{"tool_calls":[\#(call)]}"#
                let finish = asked ? "stop" : "tool_calls"
                return .events([
                    (.zero, "data: {\"choices\":[{\"index\":0,\"delta\":\(delta)}]}\n\n"),
                    (.zero, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"\(finish)\"}]}\n\n"),
                    (.zero, "data: [DONE]\n\n"),
                ])
            }
            defer { provider.stop() }
            try await withStack(provider) { stack in
                let answer = try await stack.gateway.client.chat(
                    ["type": "chat", "message": "x"], headers: [("Accept", "text/event-stream")])
                let events = answer.text.split(separator: "\n\n").map { String($0) }
                #expect(events.first == "event: progress\ndata: {\"progress\":1,\"tool\":\"echo\"}")
                #expect(events.contains("event: delta\ndata: {\"text\":\"Done.\"}"))
                #expect(events.last?.hasPrefix("event: reply\n") == true)
            }
        }
    }
}
