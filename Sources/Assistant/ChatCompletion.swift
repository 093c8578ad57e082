import JSON

/// The OpenAI-compatible chat-completions protocol: what is sent, and what the answers mean. No I/O.
enum ChatCompletion {
    /// Ends a text that the model could not finish, so that nobody takes a half for the whole.
    static let truncationNotice = "\n\n[The answer was cut off: it reached the model's length limit.]"

    private static let refused = "the model refused: "
    private static let filtered = "the provider's content filter stopped the answer"

    /// Whether an error is the model's own decision, and not a failure.
    static func isRefusal(_ error: AnswerError) -> Bool {
        error.message.hasPrefix(refused) || error.message == filtered
    }

    static func user(_ text: String) -> JSONValue { ["role": "user", "content": .string(text)] }

    static func system(_ text: String) -> JSONValue { ["role": "system", "content": .string(text)] }

    static func turn(_ turn: ConversationTurn) -> JSONValue {
        ["role": .string(turn.speaker.rawValue), "content": .string(turn.text)]
    }

    /// The model's own turn, as it is told again with the results of its calls.
    static func assistant(_ reply: ModelReply) -> JSONValue {
        let calls = reply.toolCalls.map { call -> JSONValue in
            [
                "id": .string(call.id), "type": "function",
                "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
            ]
        }
        return [
            "role": "assistant", "content": reply.text.isEmpty ? .null : .string(reply.text),
            "tool_calls": .array(calls),
        ]
    }

    static func toolResult(_ content: String, callID: String) -> JSONValue {
        ["role": "tool", "tool_call_id": .string(callID), "content": .string(content)]
    }

    /// The calls in a message made by ``assistant(_:)``.
    static func toolCalls(in message: JSONValue) -> [ToolInvocation] {
        (message["tool_calls"]?.array ?? []).map { call in
            let arguments = call["function"]?["arguments"]
            return ToolInvocation(
                id: call["id"]?.string ?? "", name: call["function"]?["name"]?.string ?? "",
                // Some servers send the object itself instead of its text.
                arguments: arguments?.string ?? arguments?.text ?? "")
        }
    }

    /// What may be added to the plain request; servers that do not know it may refuse the request for it.
    enum Extra: Hashable, CaseIterable {
        case tools, streamUsage
    }

    /// The body of a request.
    static func request(
        _ request: ModelRequest, model: String, parameters: JSONObject = [:], streamed: Bool,
        without refused: Set<Extra> = []
    ) -> [UInt8] {
        var body = parameters
        body["model"] = .string(model)
        body["messages"] = .array(request.messages)
        if streamed {
            body["stream"] = true
            if !refused.contains(.streamUsage) { body["stream_options"] = ["include_usage": true] }
        }
        if !request.tools.isEmpty, !refused.contains(.tools) {
            body["tools"] = .array(request.tools)
            body["tool_choice"] = request.mayCallTools ? "auto" : "none"
        }
        return JSONValue.object(body).serialized
    }

    /// The turn in a whole (not streamed) response body.
    static func reply(in body: JSONValue) throws(AnswerError) -> ModelReply {
        if let message = errorMessage(in: body) { throw AnswerError(message) }
        guard let choice = body["choices"]?[0] else { throw AnswerError("the provider's answer cannot be read") }
        let message = choice["message"]
        var filter = ReasoningFilter()
        // "text" is what the older completions endpoints of some servers send here.
        var text = filter.feed(self.text(of: message?["content"]) ?? choice["text"]?.string ?? "")
        text += filter.finish()
        return try reply(
            text: text, toolCalls: message.map(toolCalls(in:)) ?? [], finishReason: choice["finish_reason"]?.string,
            refusal: message?["refusal"]?.string ?? "", usage: usage(in: body))
    }

    /// Judges a turn that has arrived completely.
    static func reply(
        text: String, toolCalls: [ToolInvocation], finishReason: String?, refusal: String, usage: ModelUsage?
    ) throws(AnswerError) -> ModelReply {
        if !refusal.isEmpty { throw AnswerError(refused + refusal) }
        if finishReason == "content_filter" { throw AnswerError(filtered) }
        guard toolCalls.isEmpty else { return ModelReply(text: text, toolCalls: toolCalls, usage: usage) }
        let isTruncated = finishReason == "length" || finishReason == "max_tokens"
        guard !text.isEmpty else {
            throw AnswerError(
                isTruncated
                    ? "the answer reached the model's length limit before it began" : "the provider gave no answer")
        }
        return ModelReply(text: isTruncated ? text + truncationNotice : text, usage: usage)
    }

    /// The provider's own error message, in any of the places where servers put it.
    static func errorMessage(in body: JSONValue) -> String? {
        let failed = body["choices"]?[0]?["error"] ?? .null
        if !failed.isNull { return errorText(failed) }
        guard let error = body["error"], !error.isNull else {
            guard body["choices"] == nil else { return nil }
            return body["message"]?.string ?? body["detail"]?.string
        }
        return errorText(error)
    }

    static func usage(in body: JSONValue) -> ModelUsage? {
        guard let usage = body["usage"]?.object else { return nil }
        return ModelUsage(
            prompt: max(0, usage["prompt_tokens"]?.int ?? 0), completion: max(0, usage["completion_tokens"]?.int ?? 0))
    }

    private static func errorText(_ error: JSONValue) -> String {
        error.string ?? error["message"]?.string ?? "the provider reported an error"
    }

    /// Text content: a string, or the text parts of a list of parts.
    static func text(of content: JSONValue?) -> String? {
        if let text = content?.string { return text }
        guard let parts = content?.array else { return nil }
        return parts.compactMap { $0["type"]?.string == "text" ? $0["text"]?.string : nil }.joined()
    }
}
