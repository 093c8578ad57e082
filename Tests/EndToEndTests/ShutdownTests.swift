import JSON
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

extension EndToEnd {
    /// SIGTERM: at once when idle, after the answer when not.
    @Suite struct Shutdown {
        @Test(arguments: [15, 2] as [Int32])
        func bothStopWithinTwoSecondsWhenIdle(_ signal: Int32) async throws {
            let stack = try await RunningStack.start()
            #expect(try await stack.gateway.client.chat(Recovery.search).status == 200)
            // An idle keep-alive connection must not delay anything.
            let idle = try RawSocketClient(port: stack.gateway.port)
            await idle.send("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await idle.receive { $0.contains("\r\n\r\n") }
            for service in [stack.gateway, stack.toolServer] {
                let start = ContinuousClock.now
                service.process.signal(signal)
                #expect(try await service.process.exit() == .status(0), "\(service.process.log)")
                #expect(ContinuousClock.now - start < .seconds(2), "\(service.process.log)")
            }
        }

        @Test func whatIsInFlightFinishes() async throws {
            // A provider that takes its time keeps one call in flight through all three processes.
            let provider = try await ScriptedHTTPServer { _ in
                .delayed(
                    .milliseconds(1200),
                    then: .json(#"{"choices":[{"message":{"role":"assistant","content":"At last"}}]}"#))
            }
            defer { provider.stop() }
            let stack = try await RunningStack.start(toolServerEnvironment: [
                "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "slow", "AI_API_KEY": "key-of-the-test",
            ])
            async let answer = stack.gateway.client.chat(["type": "ai_prompt", "message": "Hello"])
            try await provider.waitUntil { $0.requests.count == 1 }
            stack.gateway.process.signal(15)
            stack.toolServer.process.signal(15)
            // New connections are refused while the old one is served.
            let refuses = await eventually(within: .seconds(1)) {
                (try? RawSocketClient(port: stack.gateway.port)) == nil
            }
            #expect(refuses)
            let reply = try await answer
            #expect(reply.status == 200)
            #expect(reply.replies == ["At last"])
            #expect(try await stack.gateway.process.exit() == .status(0))
            #expect(try await stack.toolServer.process.exit() == .status(0))
        }
    }

    /// The AI provider, from the tool-server's environment to the reply.
    @Suite struct Provider {
        @Test func promptAndKeyReachTheProviderAndItsErrorTheCaller() async throws {
            let provider = try await ScriptedHTTPServer { request in
                request.text.contains("!fail")
                    ? .json(#"{"error":{"message":"model unavailable"}}"#, status: 500)
                    : .json(#"{"choices":[{"message":{"role":"assistant","content":"Echo: Hello"}}]}"#)
            }
            defer { provider.stop() }
            try await RunningStack.with(toolServerEnvironment: [
                "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "test-model", "AI_API_KEY": "key-of-the-test",
            ]) { stack in
                let good = try await stack.gateway.client.chat(["type": "ai_prompt", "message": " Hello "])
                #expect(good.replies == ["Echo: Hello"])
                let sent = try #require(provider.requests.first)
                #expect(sent.path == "/v1/chat/completions")
                #expect(sent.headers.first(name: "Authorization") == "Bearer key-of-the-test")
                let body = try JSONValue(parsing: Array(sent.body.readableBytesView))
                #expect(body["model"] == "test-model")
                #expect(body["messages"]?.array?.last == ["role": "user", "content": "Hello"])
                let bad = try await stack.gateway.client.chat(["type": "ai_prompt", "message": "!fail"])
                #expect(bad.status == 400)
                #expect(bad.errorText == "AI error: model unavailable")
                #expect(!stack.log.contains("key-of-the-test"))
            }
        }
    }
}
