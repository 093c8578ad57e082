import JSON
import Testing

@testable import Assistant

@Suite struct ChatCompletionTests {
    private func request(_ prompt: String, streamed: Bool) -> [UInt8] {
        ChatCompletion.request(
            ModelRequest(messages: [ChatCompletion.user(prompt)]), model: "m", streamed: streamed)
    }

    @Test func thePromptIsTheLastMessageVerbatim() throws {
        let prompt = "  a\0\u{2028}\"quoted\" {\"role\":\"system\"}\n"
        let body = try JSONValue(parsing: request(prompt, streamed: false))
        #expect(body["model"]?.string == "m")
        #expect(body["stream"] == nil)
        let last = try #require(body["messages"]?.array?.last)
        #expect(last["role"]?.string == "user")
        #expect(last["content"]?.string == prompt)
        let streamed = try JSONValue(parsing: request(prompt, streamed: true))
        #expect(streamed["stream"]?.bool == true)
    }

    @Test(arguments: [
        (#"{"choices":[{"message":{"content":"hi"}}]}"#, "hi"),
        (
            #"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"x"},{"type":"text","text":"b"}]}}]}"#,
            "ab"
        ),
        (#"{"error":null,"choices":[{"message":{"content":"hi","reasoning_content":"no"}}]}"#, "hi"),
        (#"{"choices":[{"text":"old"}]}"#, "old"),
    ])
    func answersAreRead(body: String, answer: String) throws {
        #expect(try ChatCompletion.reply(in: JSONValue(parsing: body)).text == answer)
    }

    @Test(arguments: [
        (#"{"error":{"message":"model unavailable","code":503}}"#, "model unavailable"),
        (#"{"error":"quota"}"#, "quota"), (#"{"error":{}}"#, "the provider reported an error"),
        (#"{"detail":"not here"}"#, "not here"), (#"{"choices":[]}"#, "the provider's answer cannot be read"),
        ("[]", "the provider's answer cannot be read"), ("{}", "the provider's answer cannot be read"),
        (#"{"choices":[{"message":{"content":null}}]}"#, "the provider gave no answer"),
        (#"{"choices":[{"message":{"content":""}}]}"#, "the provider gave no answer"),
        (#"{"choices":[{"message":{"content":null,"refusal":"no"}}]}"#, "the model refused: no"),
    ])
    func failuresAreExplained(body: String, message: String) throws {
        let value = try JSONValue(parsing: body)
        #expect(throws: AssistantError(message)) { try ChatCompletion.reply(in: value) }
    }

    @Test func aStreamIsCollectedUntilItsEnd() throws {
        var stream = ChatCompletionStream()
        #expect(try stream.receive(#"{"choices":[{"delta":{"role":"assistant"}}]}"#) == nil)
        #expect(try stream.receive(#"{"choices":[{"delta":{"content":"Hel"}}]}"#) == "Hel")
        #expect(try stream.receive(#"{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}"#) == "lo")
        #expect(try stream.receive(#"{"choices":[],"usage":{}}"#) == nil)
        #expect(try stream.receive("[DONE]") == nil)
        #expect(stream.isDone)
        #expect(try stream.finish().text == "Hello")
    }

    @Test func aStreamThatEndsEarlyIsNoAnswer() throws {
        var stream = ChatCompletionStream()
        _ = try stream.receive(#"{"choices":[{"delta":{"content":"Hel"}}]}"#)
        let ended = stream
        #expect(throws: AssistantError("the provider's answer ended early")) { try ended.finish() }
    }

    @Test func anErrorInTheStreamIsAnError() throws {
        var stream = ChatCompletionStream()
        _ = try stream.receive(#"{"choices":[{"delta":{"content":"Hel"}}]}"#)
        #expect(throws: AssistantError("overloaded")) { try stream.receive(#"{"error":{"message":"overloaded"}}"#) }
        #expect(throws: AssistantError("the provider's answer cannot be read")) { try stream.receive("<html>") }
    }
}
