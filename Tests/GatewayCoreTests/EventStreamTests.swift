import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// `Accept: text/event-stream` on the chat endpoint.
@Suite struct EventStreamTests {
    private let accept: CurlHeaders = [("Accept", "text/event-stream")]

    /// The events of a stream as `event data`, comments left out.
    private func events(_ text: String) -> [String] {
        text.split(separator: "\n\n").filter { !$0.hasPrefix(":") }.map { block in
            block.split(separator: "\n").map { line in
                line.hasPrefix("event: ")
                    ? String(line.dropFirst(7)) : line.hasPrefix("data: ") ? String(line.dropFirst(6)) : "?"
            }.joined(separator: " ")
        }
    }

    /// An upstream that sends progress notifications before its result.
    private func streaming(_ notifications: [JSONObject], _ result: JSONValue) async throws -> FakeToolServer {
        try await FakeToolServer { call in
            guard let token = call.progressToken else { return .error("no progress token") }
            var pieces: [(after: Duration, bytes: String)] = notifications.map { notification in
                var params = notification
                params["progressToken"] = token
                let message: JSONValue = [
                    "jsonrpc": "2.0", "method": "notifications/progress", "params": .object(params),
                ]
                return (.zero, "event: message\ndata: \(message.text)\n\n")
            }
            let message: JSONValue = ["jsonrpc": "2.0", "id": call.id, "result": result]
            pieces.append((.zero, "event: message\ndata: \(message.text)\n\n"))
            return .response(.events(pieces))
        }
    }

    @Test func progressBecomesDeltasAndTheResultAReply() async throws {
        let upstream = try await streaming(
            [
                ["progress": 1, "message": "Hel"], ["progress": 2, "message": "lo\n"], ["progress": 3, "total": 4],
                ["progress": 4, "_meta": ["dev.chatgateway/tool": "search_any"]],
                ["progress": 5, "message": "!", "_meta": ["dev.chatgateway/tool": 7, "other/key": "x"]],
            ],
            ["structuredContent": ["results": "Hello\n"]])
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(response.status == 200)
            #expect(response.contentType == "text/event-stream")
            #expect(response.headers.first(name: "Cache-Control") == "no-store")
            #expect(response.headers.first(name: "X-Accel-Buffering") == "no")
            #expect(response.headers.contains(name: "X-Request-Id"))
            #expect(
                events(response.text) == [
                    #"delta {"text":"Hel"}"#, #"delta {"text":"lo\n"}"#, #"progress {"progress":3,"total":4}"#,
                    #"progress {"progress":4,"tool":"search_any"}"#, #"delta {"text":"!"}"#,
                    #"reply {"type":"chat","replies":["Hello\n"]}"#,
                ])
        }
    }

    @Test func errorsKnownBeforeTheCallKeepTheirStatus() async throws {
        let upstream = try await FakeToolServer { _ in .results([]) }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":" "}"#, headers: accept)
            #expect(response.status == 400)
            #expect(response.text == "Empty message")
        }
    }

    @Test func laterErrorsAreEvents() async throws {
        let upstream = try await FakeToolServer { call in
            call.tool == "chat" ? .error("no") : .response(.empty(503))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let toolError = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(toolError.status == 200)
            #expect(events(toolError.text) == [#"error {"status":400,"error":"no","label":"tool_error"}"#])
            let failure = try await test.chat(#"{"type":"ai_prompt","message":"x"}"#, headers: accept)
            #expect(events(failure.text) == [#"error {"status":502,"error":"MCP error","label":"upstream_failed"}"#])
        }
    }

    @Test func aReplyOnSeveralLinesIsStillOneEvent() async throws {
        let upstream = try await FakeToolServer { call in
            let id = call.id.text
            return .response(
                .json(
                    "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":{\"structuredContent\":\n{\"results\":{\r\n\"a\":1}}}}"
                ))
        }
        try await TestGateway.with(upstream) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(events(response.text).count == 1)
            #expect(!response.text.dropLast(2).contains("\r"))
        }
    }

    @Test func commentsKeepASilentStreamOpen() async throws {
        let upstream = try await FakeToolServer { call in
            let message: JSONValue = [
                "jsonrpc": "2.0", "id": call.id, "result": ["structuredContent": ["results": "x"]],
            ]
            return .response(.delayed(.milliseconds(200), then: .json(message.text)))
        }
        try await TestGateway.with(upstream, ["limits": ["keepAlive": "20ms"]]) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(response.text.contains(": keep-alive\n\n"))
            #expect(events(response.text) == [#"reply {"type":"chat","replies":["x"]}"#])
        }
    }

    // MARK: How long a stream may take

    /// The shipped types with these limits for `chat`.
    private func limits(timeout: String, streamTimeout: String? = nil) throws -> JSONObject {
        var chat = try #require(TestConfiguration.shipped()["chat"]?.object)
        var types = try #require(chat["types"]?.object)
        var type = try #require(types["chat"]?.object)
        type["timeout"] = .string(timeout)
        type["streamTimeout"] = streamTimeout.map { .string($0) }
        types["chat"] = .object(type)
        chat["types"] = .object(types)
        return ["chat": .object(chat)]
    }

    /// An upstream that sends a piece so often, and so many of them before its result.
    private func talking(every pause: Duration, times: Int) async throws -> FakeToolServer {
        try await FakeToolServer { call in
            .response(
                .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                    for number in 1...times {
                        try await Task.sleep(for: pause)
                        let params: JSONObject = [
                            "progressToken": call.progressToken ?? 0, "progress": .number(number), "message": "x",
                        ]
                        let message: JSONValue = [
                            "jsonrpc": "2.0", "method": "notifications/progress", "params": .object(params),
                        ]
                        try await writer.write("data: \(message.text)\n\n")
                    }
                    let result: JSONValue = [
                        "jsonrpc": "2.0", "id": call.id, "result": ["structuredContent": ["results": "all"]],
                    ]
                    try await writer.write("data: \(result.text)\n\n")
                })
        }
    }

    private let timedOut = #"error {"status":504,"error":"MCP error","label":"upstream_timeout"}"#

    @Test func anAnswerThatGrowsMayTakeLongerThanOneThatComesWhole() async throws {
        let upstream = try await talking(every: .milliseconds(100), times: 15)
        try await TestGateway.with(upstream, limits(timeout: "1s")) { (test) async throws in
            let whole = try await test.chat(#"{"message":"x"}"#)
            #expect(whole.status == 504)
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(events(response.text).last == #"reply {"type":"chat","replies":["all"]}"#)
            #expect(events(response.text).count == 16)
        }
    }

    @Test(arguments: [0, 3])
    func anAnswerThatStopsGrowingIsGivenUp(pieces: Int) async throws {
        let upstream = try await FakeToolServer { call in
            .response(
                .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                    for number in 0..<pieces {
                        let params: JSONObject = [
                            "progressToken": call.progressToken ?? 0, "progress": .number(number), "message": "x",
                        ]
                        let message: JSONValue = [
                            "jsonrpc": "2.0", "method": "notifications/progress", "params": .object(params),
                        ]
                        try await writer.write("data: \(message.text)\n\n")
                    }
                    // Comments are no progress.
                    while true {
                        try await writer.write(": keep-alive\n\n")
                        try await Task.sleep(for: .milliseconds(20))
                    }
                })
        }
        try await TestGateway.with(upstream, limits(timeout: "300ms")) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(events(response.text).last == timedOut)
            #expect(events(response.text).count == pieces + 1)
            try await upstream.waitUntil { log in
                log.abandonedResponses > 0 || log.requests.contains { $0.text.contains("notifications/cancelled") }
            }
        }
    }

    @Test func anAnswerThatNeverEndsIsGivenUp() async throws {
        let upstream = try await talking(every: .milliseconds(20), times: 100_000)
        try await TestGateway.with(upstream, limits(timeout: "10s", streamTimeout: "400ms")) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(events(response.text).last == timedOut)
            #expect(events(response.text).contains(#"delta {"text":"x"}"#))
        }
    }

    @Test func anUpstreamThatDoesNotAnswerTheHandshakeIsGivenUpAtTheTypesTimeout() async throws {
        let upstream = try await FakeToolServer(other: { _ in .hang }) { _ in .results([]) }
        try await TestGateway.with(upstream, limits(timeout: "300ms")) { (test) async throws in
            let response = try await test.chat(#"{"message":"x"}"#, headers: accept)
            #expect(events(response.text).last == timedOut)
        }
    }

    @Test func aClientThatLeavesTheStreamCancelsTheCall() async throws {
        let upstream = try await FakeToolServer { _ in .response(.hang) }
        try await TestGateway.with(upstream) { (test) async throws in
            let request = CurlRequest(
                method: "POST", url: test.url("/api/chat/"), headers: accept,
                body: ByteBuffer(string: #"{"message":"x"}"#),
                mode: .streaming)
            let task = Task {
                let response = try await test.engine.stream(request)
                for try await _ in response.body {}
            }
            try await upstream.waitUntil { $0.requests.contains { $0.text.contains("tools/call") } }
            task.cancel()
            try await upstream.waitUntil { log in
                log.abandonedResponses > 0 || log.requests.contains { $0.text.contains("notifications/cancelled") }
            }
            _ = await task.result
        }
    }
}
