import JSON

/// The OpenAI-compatible chat-completions protocol: what is sent, and what the answers mean. No I/O.
enum ChatCompletion {
    /// The body of a request with the prompt, verbatim, as its last message.
    static func request(model: String, prompt: String, streamed: Bool) -> [UInt8] {
        var body: JSONObject = [
            "model": .string(model),
            "messages": .array([.object(["role": "user", "content": .string(prompt)])]),
        ]
        if streamed { body["stream"] = true }
        return JSONValue.object(body).serialized
    }

    /// The answer in a whole (not streamed) response body.
    static func answer(in body: JSONValue) throws(AnswerError) -> String {
        if let message = errorMessage(in: body) { throw AnswerError(message) }
        guard let choice = body["choices"]?[0] else { throw AnswerError("the provider's answer cannot be read") }
        // "text" is what the older completions endpoints of some servers send here.
        guard let text = text(of: choice["message"]?["content"]) ?? choice["text"]?.string, !text.isEmpty else {
            throw noAnswer(choice["message"])
        }
        return text
    }

    /// The provider's own error message, in any of the places where servers put it.
    static func errorMessage(in body: JSONValue) -> String? {
        guard let error = body["error"], !error.isNull else {
            guard body["choices"] == nil else { return nil }
            return body["message"]?.string ?? body["detail"]?.string
        }
        return error.string ?? error["message"]?.string ?? "the provider reported an error"
    }

    static func noAnswer(_ message: JSONValue?) -> AnswerError {
        if let refusal = message?["refusal"]?.string, !refusal.isEmpty {
            return AnswerError("the model refused: \(refusal)")
        }
        return AnswerError("the provider gave no answer")
    }

    /// Text content: a string, or the text parts of a list of parts.
    private static func text(of content: JSONValue?) -> String? {
        if let text = content?.string { return text }
        guard let parts = content?.array else { return nil }
        return parts.compactMap { $0["type"]?.string == "text" ? $0["text"]?.string : nil }.joined()
    }
}

/// Collects a streamed answer from the data of its events. No I/O.
struct ChatCompletionStream {
    private(set) var answer = ""
    private(set) var isDone = false
    private var hasFinishReason = false
    private var refusal = ""

    /// Takes one event's data; returns the text it adds, if any.
    mutating func receive(_ data: String) throws(AnswerError) -> String? {
        guard !isDone else { return nil }
        if data == "[DONE]" {
            isDone = true
            return nil
        }
        guard let chunk = try? JSONValue(parsing: data), chunk.object != nil else {
            throw AnswerError("the provider's answer cannot be read")
        }
        if let message = ChatCompletion.errorMessage(in: chunk) { throw AnswerError(message) }
        guard let choice = chunk["choices"]?[0] else { return nil }
        if choice["finish_reason"]?.string != nil { hasFinishReason = true }
        if let more = choice["delta"]?["refusal"]?.string { refusal += more }
        guard let text = choice["delta"]?["content"]?.string, !text.isEmpty else { return nil }
        answer += text
        return text
    }

    /// The answer when the response has ended.
    /// - Throws: when it ended before the provider said that it was complete, or without any text.
    func finish() throws(AnswerError) -> String {
        guard isDone || hasFinishReason else { throw AnswerError("the provider's answer ended early") }
        guard !answer.isEmpty else { throw ChatCompletion.noAnswer(.object(["refusal": .string(refusal)])) }
        return answer
    }
}
