import JSON

/// Collects a streamed turn from the data of its events. No I/O.
struct ChatCompletionStream {
    private(set) var text = ""
    private(set) var isDone = false
    private var finishReason: String?
    private var refusal = ""
    private var usage: ModelUsage?
    private var filter = ReasoningFilter()
    private var calls: [(index: Int?, call: ToolInvocation)] = []

    /// Whether the model has begun to say or to think anything: from here on silence is a pause, not a slow start.
    private(set) var hasBegun = false

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
        usage = ChatCompletion.usage(in: chunk) ?? usage
        guard let choice = chunk["choices"]?[0] else { return nil }
        finishReason = choice["finish_reason"]?.string ?? finishReason
        let delta = choice["delta"]
        refusal += delta?["refusal"]?.string ?? ""
        for call in delta?["tool_calls"]?.array ?? [] { add(call) }
        let content = ChatCompletion.text(of: delta?["content"]) ?? choice["text"]?.string ?? ""
        let thought = delta?["reasoning_content"]?.string ?? delta?["reasoning"]?.string ?? ""
        if !content.isEmpty || !thought.isEmpty || !calls.isEmpty { hasBegun = true }
        return said(filter.feed(content))
    }

    /// What was held back, once the response has ended well.
    mutating func rest() -> String? { said(filter.finish()) }

    /// The turn when the response has ended.
    /// - Throws: when it ended before the provider said that it was complete, or without anything in it.
    func finish() throws(AnswerError) -> ModelReply {
        guard isDone || finishReason != nil else { throw AnswerError("the provider's answer ended early") }
        return try ChatCompletion.reply(
            text: text, toolCalls: calls.map(\.call), finishReason: finishReason, refusal: refusal, usage: usage)
    }

    private mutating func said(_ text: String) -> String? {
        self.text += text
        return text.isEmpty ? nil : text
    }

    /// Calls come whole or in pieces that repeat their index, or nothing at all.
    private mutating func add(_ delta: JSONValue) {
        let index = delta["index"]?.int
        let id = delta["id"]?.string ?? ""
        let name = delta["function"]?["name"]?.string ?? ""
        let arguments = delta["function"]?["arguments"].map { $0.isNull ? "" : $0.string ?? $0.text } ?? ""
        let known = calls.lastIndex { $0.index == index }
        // Some servers number every call 0 but give each its own id.
        guard let known, id.isEmpty || calls[known].call.id.isEmpty || calls[known].call.id == id else {
            calls.append((index, ToolInvocation(id: id, name: name, arguments: arguments)))
            return
        }
        if calls[known].call.id.isEmpty { calls[known].call.id = id }
        if calls[known].call.name != name { calls[known].call.name += name }
        calls[known].call.arguments += arguments
    }
}
