import JSON
import JSONConfiguration
import MCP
import Observability
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Assistant

/// Events, halves of characters, finish reasons and reasoning as real providers send them, over real sockets.
@Suite struct ProviderQuirksTests: ProviderScripts {
    // MARK: Events

    @Test(arguments: [
        "data:\n\n", "data: \n\n", "data: \t \n\n", ": comment\n\n", "event: ping\ndata: now\n\n", "data: null\n\n",
        "data: {}\n\n", "data: {\"type\":\"ping\"}\n\n", "event: ping\n\n", "id: 7\nretry: 100\n\n",
        "data: {\"choices\":[]}\n\n", "event: keepalive\ndata: {\"choices\":null}\n\n",
        "event: heartbeat\ndata: {\"message\":\"alive\"}\n\n", "data: {\"type\":\"ping\",\"message\":\"alive\"}\n\n",
    ])
    func keepAlivesAreNoAnswer(keepAlive: String) async throws {
        let events = [keepAlive, said("Hel"), keepAlive, keepAlive, said("lo"), keepAlive, done]
        #expect(try await answer(streaming: events).reply.text == "Hello")
    }

    @Test(arguments: [
        "data: [DONE] \n\n", "data:[DONE]\n\n", "data:  [DONE]\t\r\n\r\n", "data: [DONE]", "data: [DONE]\n",
        "event: done\ndata: [DONE]\n\n", "data: \u{FEFF}[DONE]\0\n\n",
    ])
    func theEndIsTheEnd(end: String) async throws {
        let (reply, pieces) = try await answer(streaming: [said("whole"), end])
        #expect(reply.text == "whole")
        #expect(pieces == ["whole"])
    }

    @Test func theLastEventMayLackItsBlankLine() async throws {
        let last = String(said("lo", "\"stop\"").dropLast(2))
        for ending in ["", "\n", "\r"] {
            let (reply, pieces) = try await answer(streaming: [said("Hel"), last + ending])
            #expect(reply.text == "Hello")
            #expect(pieces == ["Hel", "lo"])
        }
    }

    @Test func halfAnEventAtTheEndIsNone() async throws {
        await #expect(throws: AssistantError("the provider's answer ended early")) {
            try await answer(streaming: [said("Hel"), "data: {\"choices\":[{\"del"])
        }
        #expect(try await answer(streaming: [said("Hel", "\"stop\""), "data: {\"cho"]).reply.text == "Hel")
    }

    @Test(arguments: ["\"\"", "\" \"", "null", "\"null\"", "0"])
    func anEmptyFinishReasonIsNone(reason: String) async throws {
        await #expect(throws: AssistantError("the provider's answer ended early")) {
            try await answer(streaming: [said("half", reason), said(" of it", reason)])
        }
        #expect(try await answer(streaming: [said("whole", reason), done]).reply.text == "whole")
        #expect(try await answer(streaming: [said("whole", "\"stop\""), said("", reason)]).reply.text == "whole")
    }

    // MARK: Halves of surrogate pairs

    @Test func aPairMayBeCutAnywhere() async throws {
        let halves = [
            event(#"{"content":"Hi \ud83d"}"#), event(#"{"content":""}"#), event(#"{"content":"\ude00!"}"#), done,
        ]
        let (reply, pieces) = try await answer(streaming: halves)
        #expect(reply.text == "Hi 😀!")
        #expect(pieces.joined() == "Hi 😀!")
    }

    @Test(arguments: [
        ([#"a\ud83d"#, "b"], "a\u{FFFD}b"), ([#"a\ude00"#, "b"], "a\u{FFFD}b"),
        ([#"\ud83d\ud83d"#, #"\ude00"#], "\u{FFFD}😀"),
        ([#"\ude00\ud83d"#], "\u{FFFD}\u{FFFD}"), ([#"\\ud83d"#, "x"], #"\ud83dx"#),
        ([#"\ud83d\ude00\ud83d"#, #"\ude01"#], "😀😁"),
        (["a", #"\ud83d"#], "a\u{FFFD}"), ([#"\uD83D"#, #"\uDE00"#], "😀"),
    ])
    func aHalfThatStaysAloneIsReplaced(pieces: [String], text: String) async throws {
        let events = pieces.map { event("{\"content\":\"\($0)\"}") }
        let streamed = try await answer(streaming: events + [done])
        #expect(streamed.reply.text == text)
        #expect(streamed.pieces.joined() == text)
    }

    @Test func halvesInAWholeAnswerAreReplaced() async throws {
        #expect(try await reply(to: whole(#"{"content":"a\ud83d \ude00\ud83d\ude00"}"#)).text == "a\u{FFFD} \u{FFFD}😀")
    }

    @Test func argumentsMayBeCutWithinAPair() async throws {
        let calls = [
            event(#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"echo","arguments":"{\"q\":\"\ud83d"}}]}"#),
            event(#"{"tool_calls":[{"index":0,"function":{"arguments":"\ude00\"}"}}]}"#), done,
        ]
        #expect(try await answer(streaming: calls).reply.toolCalls.map(\.arguments) == [#"{"q":"😀"}"#])
    }

    // MARK: Finish reasons

    @Test(arguments: [
        "length", "max_tokens", "model_length", "MAX_TOKENS", "max_output_tokens", "token_limit",
        "model_context_window_exceeded", "context_length",
    ])
    func aLimitOfLengthIsTold(reason: String) async throws {
        let text = "half" + ChatCompletion.truncationNotice
        #expect(try await reply(to: whole(#"{"content":"half"}"#, "\"\(reason)\"")).text == text)
        let streamed = try await answer(streaming: [said("half", "\"\(reason)\""), done])
        #expect(streamed.reply.text == text)
        #expect(streamed.pieces.joined() == text)
    }

    @Test(arguments: ["insufficient_system_resource", "abort", "TIMEOUT", "USER_CANCEL", "pause_turn"])
    func anInterruptedAnswerIsTold(reason: String) async throws {
        let text = "half\n\n[The answer was cut off: the provider ended it before it was complete.]"
        #expect(try await reply(to: whole(#"{"content":"half"}"#, "\"\(reason)\"")).text == text)
        #expect(try await answer(streaming: [said("half", "\"\(reason)\""), done]).pieces.joined() == text)
        await #expect(throws: AssistantError("the provider ended the answer before it began")) {
            try await reply(to: whole(#"{"content":""}"#, "\"\(reason)\""))
        }
    }

    @Test(arguments: [
        ("error", "the provider reported an error"), ("ERROR", "the provider reported an error"),
        ("MALFORMED_FUNCTION_CALL", "the provider reported an error"),
        ("network_error", "the provider reported an error"),
        ("SAFETY", "the provider's content filter stopped the answer"),
        ("RECITATION", "the provider's content filter stopped the answer"),
        ("guardrail_intervened", "the provider's content filter stopped the answer"),
        ("content_filtered", "the provider's content filter stopped the answer"),
        ("sensitive", "the provider's content filter stopped the answer"),
    ])
    func anAnswerThatFailedIsAnError(reason: String, message: String) async throws {
        await #expect(throws: AssistantError(message)) {
            try await reply(to: whole(#"{"content":"half"}"#, "\"\(reason)\""))
        }
        await #expect(throws: AssistantError(message)) {
            try await answer(streaming: [said("half"), said("", "\"\(reason)\""), done])
        }
    }

    @Test(arguments: ["stop", "STOP", "eos_token", "end_turn", "stop_sequence", "COMPLETE", "whatever"])
    func aWholeAnswerIsWhole(reason: String) async throws {
        #expect(try await reply(to: whole(#"{"content":"whole"}"#, "\"\(reason)\"")).text == "whole")
        #expect(try await answer(streaming: [said("whole", "\"\(reason)\"")]).reply.text == "whole")
    }

    // MARK: Reasoning

    @Test(arguments: [
        "Let me think. </think>\n\nIt is 42.", "a < b </thinking>It is 42.", "hm[/THINK] It is 42.",
        "</think>It is 42.",
        "\n\nhm\n</think>\nIt is 42.",
    ])
    func reasoningThatNeverBeganIsNoAnswer(text: String) async throws {
        #expect(try await reply(to: whole(JSONValue.object(["content": .string(text)]).text)).text == "It is 42.")
        for size in [1, 4, 200] {
            let fake = try await FakeProvider([.text(text)], textSize: size)
            defer { fake.server.stop() }
            let pieces = Pieces()
            let model = fake.model { $0.reasoning = .unopened }
            #expect(try await model.answer("q", onDelta: pieces.onDelta) == "It is 42.")
            #expect(pieces.all.filter { !$0.isEmpty }.joined() == "It is 42.")
        }
    }

    @Test func aMarkThatIsSpokenAboutIsKept() async throws {
        for text in ["The mark `</think>` ends it.", "It reads \"</think>\".", "Use <think>x</think> so."] {
            #expect(try await reply(to: whole(JSONValue.object(["content": .string(text)]).text)).text == text)
        }
    }

    @Test func whatOneAnswerShowsIsKnownOfTheNext() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let (first, last) = (said("Hm. "), said("</think>42", "\"stop\""))
        let slow = ScriptedResponse.produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
            try await writer.write(first)
            for await _ in gate { break }
            try await writer.write(last)
        }
        let fake = try await FakeProvider([.response(.json(whole(#"{"content":"hm</think>1"}"#))), .response(slow)])
        defer { fake.server.stop() }
        let model = fake.model()
        #expect(try await model.answer("q", onDelta: nil) == "1")
        let pieces = Pieces()
        let answer = Task { [question] in try await model.reply(to: question, onDelta: pieces.onDelta) }
        try await fake.server.waitUntil { $0.requests.count == 2 && $0.bytesSent > 0 }
        open.yield()
        #expect(try await answer.value.text == "42")
        #expect(pieces.all.filter { !$0.isEmpty } == ["42"])
    }

    @Test func theBeginningIsHeldBackForAMomentOnly() async throws {
        #expect(ReasoningStyle(ProviderConfiguration(baseURL: "x", model: "deepseek-r1:7b")) == .unopened)
        #expect(ReasoningStyle(ProviderConfiguration(baseURL: "x", model: "gpt-4.1")) == .unknown)
        let (held, tell) = AsyncStream.makeStream(of: String.self)
        let (ended, end) = AsyncStream.makeStream(of: Void.self)
        let timed = StreamedTurn(.unknown, grace: .milliseconds(1), graceEnded: { end.yield() }) { tell.yield($0) }
        for text in ["a", "b"] {
            _ = try await timed.receive(ServerSentEvent(data: String(said(text).dropFirst(6))))
        }
        await timed.watchHolding()
        var pieces = held.makeAsyncIterator()
        // Nothing else comes, but the pieces go on, each for itself.
        #expect(await pieces.next() == "a")
        #expect(await pieces.next() == "b")
        for await _ in ended { break }
        var style = ReasoningStyle.unknown
        style.graceEnded()
        #expect(style == .plain)
        timed.stop()
    }

    @Test func whatArrivesTogetherIsLookedAtFirst() async throws {
        let pieces = Pieces()
        let turn = StreamedTurn(.plain, grace: .zero, pass: pieces.onDelta)
        for text in ["Hm. ", "</think>", "42"] {
            _ = try await turn.receive(ServerSentEvent(data: String(said(text).dropFirst(6))))
        }
        await turn.watchHolding()
        #expect(pieces.all == ["42"])
        let plain = Pieces()
        let next = StreamedTurn(.plain, grace: .zero, pass: plain.onDelta)
        for text in ["a", "b"] {
            _ = try await next.receive(ServerSentEvent(data: String(said(text).dropFirst(6))))
            await next.watchHolding()
        }
        #expect(plain.all == ["a", "b"])
    }

    @Test func reasoningInItsOwnFieldHoldsNothingBack() async throws {
        let turn = StreamedTurn(.unopened, grace: .zero) { _ in }
        _ = try await turn.receive(ServerSentEvent(data: String(event(#"{"reasoning_content":"hm"}"#).dropFirst(6))))
        #expect(try await turn.receive(ServerSentEvent(data: String(said("at once").dropFirst(6)))) == .text)
    }
}
