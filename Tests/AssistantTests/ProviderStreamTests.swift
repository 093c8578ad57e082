import JSON
import Logging
import MCP
import Observability
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import Store

/// What arrives in pieces, and what must never be shown as an answer.
@Suite struct ProviderStreamTests {
    @Test(arguments: [1, 2, 3, 7, 64])
    func answersSurviveAnySplit(writeSize: Int) async throws {
        let text = "Grüße 🚀 «ünïcödé» 漢字 \"quoted\"\n\nend"
        let fake = try await FakeProvider([.text(text)], writeSize: writeSize, textSize: 3)
        defer { fake.server.stop() }
        let pieces = Pieces()
        #expect(try await fake.model().answer("q", onDelta: pieces.onDelta) == text)
        #expect(pieces.all.joined() == text)
    }

    @Test func aStreamMayBeCutAtEveryByte() throws {
        let text = "Grüße 🚀 漢\u{301} \"q\"\n"
        let bytes = Array(
            (text.unicodeScalars.map { scalar -> String in
                let delta: JSONValue = ["choices": [["delta": ["content": .string(String(Character(scalar)))]]]]
                return "data: \(delta.text)\r\n\r\n"
            } + ["data: [DONE]\n\n"]).joined().utf8)
        for cut in 0...bytes.count {
            var parser = SSEParser()
            var stream = ChatCompletionStream()
            var pieces = ""
            for part in [bytes[..<cut], bytes[cut...]] {
                for event in try parser.feed(part) { pieces += try stream.receive(event.data) ?? "" }
            }
            #expect(stream.isDone, "cut at \(cut)")
            #expect(Array(pieces.utf8) == Array(text.utf8), "cut at \(cut)")
        }
    }

    @Test(arguments: [0, 1, 4], [0, 1])
    func toolCallsComeWholeOrInPieces(argumentSize: Int, writeSize: Int) async throws {
        let calls = [(name: "search_any", arguments: #"{"query":"ü🚀","model":"x"}"#), (name: "echo", arguments: "{}")]
        let fake = try await FakeProvider([.calls(calls)], writeSize: writeSize, argumentSize: argumentSize)
        defer { fake.server.stop() }
        let request = ModelRequest(messages: [ChatCompletion.user("q")])
        for onDelta in [Pieces().onDelta, nil] {
            let reply = try await fake.model().reply(to: request, onDelta: onDelta)
            #expect(reply.text.isEmpty)
            #expect(reply.toolCalls.map(\.name) == ["search_any", "echo"])
            #expect(reply.toolCalls.map(\.arguments) == calls.map(\.arguments))
            #expect(Set(reply.toolCalls.map(\.id)).count == 2)
        }
    }

    @Test func callsThatShareAnIndexAreToldApartByTheirIDs() throws {
        var stream = ChatCompletionStream()
        for id in ["a", "b"] {
            let call: JSONValue = ["index": 0, "id": .string(id), "function": ["name": "echo", "arguments": [:]]]
            _ = try stream.receive(JSONValue.object(["choices": [["delta": ["tool_calls": [call]]]]]).text)
        }
        _ = try stream.receive("[DONE]")
        #expect(try stream.finish().toolCalls.map(\.id) == ["a", "b"])
        #expect(try stream.finish().toolCalls.map(\.arguments) == ["{}", "{}"])
    }

    private func event(_ text: String) -> String { "data: {\"choices\":[{\"delta\":{\"content\":\"\(text)\"}}]}\n\n" }

    @Test func eachTokenPassesOnBeforeTheNextIsThere() async throws {
        let tokens = ["first ", "second ", "third"]
        let (read, tell) = AsyncStream.makeStream(of: String.self)
        let fake = try await FakeProvider([
            .response(
                .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { [event] writer in
                    var read = read.makeAsyncIterator()
                    for token in tokens {
                        try await writer.write(event(token))
                        // The next token exists only when the caller has this one.
                        #expect(await read.next() == token)
                    }
                    try await writer.write("data: [DONE]\n\n")
                })
        ])
        defer { fake.server.stop() }
        #expect(try await fake.model().answer("q") { tell.yield($0) } == tokens.joined())
    }

    @Test func aStreamedAnswerMayTakeLongerThanAWholeOne() {
        let now = ContinuousClock.now
        let configuration = ProviderConfiguration(baseURL: "http://127.0.0.1:1/v1", model: "m")
        func limits(_ request: ModelRequest, isStreamed: Bool) -> [Duration] {
            let limits = ChatCompletionsProvider.Limits(of: request, configuration, isStreamed: isStreamed, now: now)
            return [limits.beginning - now, limits.end - now]
        }
        let request = ModelRequest(messages: [])
        #expect(limits(request, isStreamed: false) == [.seconds(25), .seconds(25)])
        #expect(limits(request, isStreamed: true) == [.seconds(25), .seconds(570)])
        let hurried = ModelRequest(messages: [], deadline: now + .seconds(9), beginning: now + .seconds(4))
        #expect(limits(hurried, isStreamed: false) == [.seconds(4), .seconds(9)])
        #expect(limits(hurried, isStreamed: true) == [.seconds(4), .seconds(9)])
    }

    @Test func aWholeAnswerThatTakesTooLongIsGivenUp() async throws {
        let fake = try await FakeProvider([.response(.hang)])
        defer { fake.server.stop() }
        let model = fake.model { $0.timeout = .milliseconds(100) }
        await #expect(throws: AssistantError("the provider did not answer in time")) {
            try await model.answer("q", onDelta: nil)
        }
    }

    @Test func aStreamThatNeverEndsIsGivenUp() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let fake = try await FakeProvider([
            .response(
                .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { [event] writer in
                    try await writer.write(event("x"))
                    for await _ in gate {}
                })
        ])
        defer {
            open.finish()
            fake.server.stop()
        }
        let model = fake.model { $0.streamTimeout = .milliseconds(400) }
        await #expect(throws: AssistantError("the provider did not answer in time")) {
            try await model.answer("q") { _ in }
        }
        try await fake.server.waitUntil { $0.openConnections == 0 }
    }

    @Test(arguments: [#"{"reasoning_content":"hm"}"#, #"{"tool_calls":[{"index":0,"function":{"arguments":" "}}]}"#])
    func workWithoutWordsIsToldAsSuch(delta: String) async throws {
        let silent = "data: {\"choices\":[{\"delta\":\(delta)}]}\n\n"
        let fake = try await FakeProvider([
            .response(.events([(.zero, silent), (.zero, silent), (.zero, event("said")), (.zero, "data: [DONE]\n\n")]))
        ])
        defer { fake.server.stop() }
        let model = ChatCompletionsProvider(
            configuration: fake.configuration, engine: fake.engine, metrics: AssistantMetrics(registry: fake.registry),
            logger: Logger(label: "test"), signInterval: .zero)
        let pieces = Pieces()
        let reply = try await model.reply(
            to: ModelRequest(messages: [ChatCompletion.user("q")]), onDelta: pieces.onDelta)
        #expect(reply.text == "said")
        #expect(pieces.all == ["", "", "said"])
    }

    @Test func whoLeavesBetweenTokensEndsTheTransfer() async throws {
        let fake = try await FakeProvider([.response(.events([(.zero, event("first")), (.seconds(30), event("x"))]))])
        defer { fake.server.stop() }
        let (read, tell) = AsyncStream.makeStream(of: String.self)
        let model = fake.model()
        let task = Task { try await model.answer("q") { tell.yield($0) } }
        for await piece in read {
            #expect(piece == "first")
            break
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await fake.server.waitUntil { $0.openConnections == 0 }
        #expect(fake.registry.exposition().contains("outcome=\"cancelled\"} 1"))
    }

    @Test(arguments: [true, false])
    func reasoningIsNoAnswer(streamed: Bool) async throws {
        let fake = try await FakeProvider(
            [.text("\n<think>They ask <b>. Hmm </thin k></think>\n\nIt is 42 <think>.")], textSize: 2)
        defer { fake.server.stop() }
        let pieces = Pieces()
        #expect(try await fake.model().answer("q", onDelta: streamed ? pieces.onDelta : nil) == "It is 42 <think>.")
        if streamed { #expect(pieces.all.joined() == "It is 42 <think>.") }
    }

    @Test(arguments: [true, false])
    func reasoningWithoutAnAnswerIsAnError(streamed: Bool) async throws {
        let fake = try await FakeProvider([.text("<think>on and on", finishReason: "stop")])
        defer { fake.server.stop() }
        let pieces = Pieces()
        await #expect(throws: AssistantError("the provider gave no answer")) {
            try await fake.model().answer("q", onDelta: streamed ? pieces.onDelta : nil)
        }
        #expect(pieces.all == [])
    }

    @Test(arguments: [true, false])
    func whatOnlyLooksLikeReasoningIsKept(streamed: Bool) async throws {
        for text in ["<", "<thi", "<b>bold</b>", "  <thinking aloud>"] {
            let fake = try await FakeProvider([.text(text)], textSize: 1)
            defer { fake.server.stop() }
            let pieces = Pieces()
            #expect(try await fake.model().answer("q", onDelta: streamed ? pieces.onDelta : nil) == text)
            if streamed { #expect(pieces.all.joined() == text) }
        }
    }

    @Test(arguments: [true, false])
    func aCutAnswerSaysSo(streamed: Bool) async throws {
        let fake = try await FakeProvider([.text("The first half", finishReason: "length")])
        defer { fake.server.stop() }
        let pieces = Pieces()
        let answer = try await fake.model().answer("q", onDelta: streamed ? pieces.onDelta : nil)
        #expect(answer == "The first half" + ChatCompletion.truncationNotice)
        if streamed { #expect(pieces.all.joined() == answer) }
    }

    @Test(arguments: [true, false])
    func filteredAndRefusedTextIsAnError(streamed: Bool) async throws {
        let refusal =
            streamed
            ? ScriptedResponse.events([
                (.zero, "data: {\"choices\":[{\"delta\":{\"refusal\":\"I must \"}}]}\n\n"),
                (.zero, "data: {\"choices\":[{\"delta\":{\"refusal\":\"not.\"},\"finish_reason\":\"stop\"}]}\n\n"),
            ])
            : .json(#"{"choices":[{"message":{"content":null,"refusal":"I must not."},"finish_reason":"stop"}]}"#)
        let cases: [(FakeProvider.Turn, String)] = [
            (.text("Half of", finishReason: "content_filter"), "the provider's content filter stopped the answer"),
            (.text("", finishReason: "length"), "the answer reached the model's length limit before it began"),
            (.response(refusal), "the model refused: I must not."),
        ]
        for (turn, message) in cases {
            let fake = try await FakeProvider([turn])
            defer { fake.server.stop() }
            await #expect(throws: AssistantError(message)) {
                try await fake.model().answer("q", onDelta: streamed ? Pieces().onDelta : nil)
            }
        }
    }

    @Test(arguments: [true, false])
    func aHugeAnswerIsAnErrorAndTheNextOneIsNot(streamed: Bool) async throws {
        let fake = try await FakeProvider([.text(String(repeating: "long ", count: 100_000)), .text("short")])
        defer { fake.server.stop() }
        let model = fake.model { $0.maxAnswer = 64 << 10 }
        let onDelta = streamed ? Pieces().onDelta : nil
        await #expect(throws: AssistantError("the provider's answer is too large")) {
            try await model.answer("q", onDelta: onDelta)
        }
        #expect(try await model.answer("q", onDelta: onDelta) == "short")
    }

    @Test func anAnswerWithoutEndIsCutOff() async throws {
        let event = "data: {\"choices\":[{\"delta\":{\"content\":\"\(String(repeating: "x", count: 1000))\"}}]}\n\n"
        let fake = try await FakeProvider([
            .response(
                .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                    while true { try await writer.write(event) }
                })
        ])
        defer { fake.server.stop() }
        let model = fake.model { $0.maxAnswer = 64 << 10 }
        await #expect(throws: AssistantError("the provider's answer is too large")) {
            try await model.answer("q") { _ in }
        }
        try await fake.server.waitUntil { $0.openConnections == 0 }
    }
}
