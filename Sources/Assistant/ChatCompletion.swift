import JSON
import MCP

/// The OpenAI-compatible chat-completions protocol: requests, and the meaning of responses. No I/O.
enum ChatCompletion {
    /// Notice at the end of a text that the model could not finish, so that a part is not mistaken for the whole.
    static let truncationNotice = "\n\n[The answer was cut off: it reached the model's length limit.]"

    private static let refused = "the model refused: "
    private static let filtered = "the provider's content filter stopped the answer"

    /// Returns whether an error is a refusal by the model rather than a failure.
    static func isRefusal(_ error: AssistantError) -> Bool {
        error.message.hasPrefix(refused) || error.message == filtered
    }

    /// Returns a message of the user.
    static func user(_ text: String) -> JSONValue { ["role": "user", "content": .string(text)] }

    /// Returns a message with instructions.
    static func system(_ text: String) -> JSONValue { ["role": "system", "content": .string(text)] }

    /// Returns an earlier message of the conversation.
    static func turn(_ turn: ConversationTurn) -> JSONValue {
        ["role": .string(turn.speaker.rawValue), "content": .string(turn.text)]
    }

    /// Returns the message with the model's own turn, which comes before the results of its calls.
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

    /// Returns the message with a call's result.
    static func toolResult(_ content: String, callID: String) -> JSONValue {
        ["role": "tool", "tool_call_id": .string(callID), "content": .string(content)]
    }

    /// Largest number of tool calls in one turn.
    static let maximumCalls = 128

    /// Returns the calls in a message: one made by ``assistant(_:)``, or a provider's.
    static func toolCalls(in message: JSONValue) -> [ToolInvocation] {
        var calls = (message["tool_calls"]?.array ?? []).map { call in
            ToolInvocation(
                id: identifier(call["id"]), name: call["function"]?["name"]?.string ?? "",
                arguments: ToolArguments.text(of: call["function"]?["arguments"]))
        }
        // The protocol's older form, with a single call in a turn.
        if calls.isEmpty, let call = message["function_call"], let name = call["name"]?.string {
            calls.append(ToolInvocation(id: "", name: name, arguments: ToolArguments.text(of: call["arguments"])))
        }
        return calls
    }

    /// Returns a call's id, which some servers write as a number.
    static func identifier(_ value: JSONValue?) -> String { value?.string ?? value?.number?.text ?? "" }

    /// Part of the protocol because of which some servers refuse a request.
    enum Extra: Hashable, CaseIterable {
        /// Tools on offer.
        case tools
        /// Counts of tokens at the end of a stream.
        case streamUsage
        /// Answers in pieces.
        case streams
        /// Responses in one piece.
        case wholeAnswers
    }

    /// Returns the body of a request.
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

    /// Returns the turn in a whole (not streamed) response body.
    static func reply(in body: JSONValue) throws(AssistantError) -> ModelReply {
        if let message = errorMessage(in: body) { throw AssistantError(message) }
        guard let choice = body["choices"]?[0] else { throw unreadable }
        let message = choice["message"] ?? choice["delta"]
        // "text" is what the older completions endpoints of some servers send here.
        let content = text(of: message?["content"]) ?? choice["text"]?.string ?? ""
        let answer = ReasoningFilter.answer(in: content)
        var reply = try reply(
            text: answer.text, toolCalls: message.map(toolCalls(in:)) ?? [],
            finishReason: FinishReason(choice["finish_reason"]?.string), refusal: message?["refusal"]?.string ?? "",
            usage: usage(in: body))
        reply.hadUnopenedReasoning = answer.foundUnopened
        return reply
    }

    /// Bytes that servers send before JSON: byte order marks, white space, NULs.
    private static let leading: Set<UInt8> = [0xEF, 0xBB, 0xBF, 0x20, 0x09, 0x0A, 0x0D, 0x00]

    /// Returns the JSON in a response's bytes; nil when it is not JSON.
    static func json(_ bytes: [UInt8]) -> JSONValue? {
        let body = Array(bytes.drop(while: leading.contains))
        if let json = try? JSONValue(parsing: body) { return json }
        return SurrogateHalves.replaced(body).flatMap { try? JSONValue(parsing: $0) }
    }

    /// Returns the turn in the bytes of a response with a status of success: JSON, or the events of a stream that was
    /// not asked for or is not declared as one.
    static func reply(inBody bytes: [UInt8]) throws -> ModelReply {
        let body = Array(bytes.drop(while: leading.contains))
        if let json = json(body) {
            return try reply(in: json)
        }
        var events: [ServerSentEvent] = []
        if ["data:", "event:", "id:", "retry:", ":"].contains(where: { body.starts(with: $0.utf8) }) {
            var parser = SSEParser(maximumEventBytes: body.count)
            // The last event may lack the blank line that ends it.
            events = try parser.feed(body) + parser.feed(Array("\n\n".utf8))
        } else if body.first == UInt8(ascii: "{"), body.contains(UInt8(ascii: "\n")) {
            events = body.split(separator: UInt8(ascii: "\n")).map {
                ServerSentEvent(data: String(decoding: $0, as: UTF8.self))
            }
        }
        guard !events.isEmpty else { throw unreadable }
        var stream = ChatCompletionStream(holdLimit: .max)
        for event in events where event.hasData { _ = try stream.receive(event.data, event: event.event) }
        _ = stream.rest()
        return try stream.finish()
    }

    /// Returns a turn that has arrived completely.
    /// - Throws: ``AssistantError`` when it is empty, refused, filtered or failed.
    static func reply(
        text: String, toolCalls: [ToolInvocation], finishReason: FinishReason?, refusal: String, usage: ModelUsage?
    ) throws(AssistantError) -> ModelReply {
        if !refusal.isEmpty { throw AssistantError(refused + refusal) }
        switch finishReason {
        case .filtered: throw AssistantError(filtered)
        case .failed: throw AssistantError(noReason)
        case .complete, .lengthLimit, .interrupted, .none: break
        }
        guard toolCalls.count <= maximumCalls else { throw AssistantError("the model asked for too many tool calls") }
        guard toolCalls.isEmpty else {
            let calls = toolCalls.map { call in
                ToolInvocation(id: call.id, name: call.name, arguments: ToolArguments.normalized(call.arguments))
            }
            return ModelReply(text: text, toolCalls: calls, usage: usage)
        }
        guard !text.isEmpty else {
            switch finishReason {
            case .lengthLimit: throw AssistantError("the answer reached the model's length limit before it began")
            case .interrupted: throw AssistantError("the provider ended the answer before it began")
            default: throw AssistantError("the provider gave no answer")
            }
        }
        return ModelReply(text: text + (finishReason?.notice ?? ""), usage: usage)
    }

    /// Error for a response that is not in the protocol's form.
    static let unreadable = AssistantError("the provider's answer cannot be read")
    private static let noReason = "the provider reported an error"

    /// Returns the provider's own error message in a body with a status of success, or in an event.
    static func errorMessage(in body: JSONValue) -> String? {
        if let list = body.array {
            return list.first.flatMap { $0["error"] == nil ? nil : ProviderErrorBody.text(of: body) }
        }
        let failed = body["choices"]?[0]?["error"] ?? .null
        if !failed.isNull { return ProviderErrorBody.text(of: failed) ?? noReason }
        if let error = body["error"], !error.isNull, error != .bool(false), error != "" {
            return (body["choices"] == nil ? ProviderErrorBody.text(of: body) : ProviderErrorBody.text(of: error))
                ?? noReason
        }
        guard body["choices"] == nil else { return nil }
        let members = ["message", "detail", "errors"].compactMap { body[$0] }
        return ProviderErrorBody.text(of: .array(members))
    }

    /// Returns the counts of tokens in a body or an event.
    static func usage(in body: JSONValue) -> ModelUsage? {
        guard let usage = body["usage"]?.object else { return nil }
        return ModelUsage(prompt: usage["prompt_tokens"]?.int ?? 0, completion: usage["completion_tokens"]?.int ?? 0)
    }

    /// Returns the text of content: a string, or the text parts of a list of parts.
    static func text(of content: JSONValue?) -> String? {
        if let text = content?.string { return text }
        guard let parts = content?.array else { return nil }
        return parts.compactMap { part in
            part.string ?? (["text", "output_text"].contains(part["type"]?.string) ? part["text"]?.string : nil)
        }.joined()
    }
}
