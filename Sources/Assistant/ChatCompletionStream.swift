import JSON

/// Collector of a streamed turn from the data of its events. No I/O.
struct ChatCompletionStream: Sendable {
    /// A call that may still grow.
    private struct Call {
        let index: Int?
        var id = ""
        var name = ""
        var arguments = ""
        var balance = JSONBalance()
        var joiner = SurrogateHalves.Joiner()
    }

    /// Text of the answer so far.
    private(set) var text = ""
    /// True if the provider has said that the stream is complete.
    private(set) var isDone = false
    /// True if the model has begun to say or to think anything: from here on silence is a pause, not a slow start.
    private(set) var hasBegun = false
    /// True if the server sends reasoning in a field of its own.
    private(set) var separatesReasoning = false

    private var finishReason: FinishReason?
    private var refusal = ""
    private var usage: ModelUsage?
    private var filter: ReasoningFilter
    private var calls: [Call] = []
    private var joiner = SurrogateHalves.Joiner()
    /// True if an event had a half of a surrogate pair; only then are private scalars what ``SurrogateHalves`` made.
    private var hasHalves = false
    /// Pieces in which the text that was returned last had come.
    private(set) var pieces: [String] = []
    private var heldPieces: [String] = []

    /// Begins a turn.
    /// - Parameter holdLimit: Largest number of bytes that are held back because they may be reasoning.
    init(holdLimit: Int = 0) { filter = ReasoningFilter(holdLimit: holdLimit) }

    /// True if text is held back that may be an answer.
    var isHolding: Bool { filter.isHolding }
    /// True if reasoning without a beginning was held back, and taken out.
    var tookOutReasoning: Bool { filter.foundUnopened }

    /// Takes one event's data; returns the text it adds, if any.
    /// - Parameter event: Name of the event.
    mutating func receive(_ data: String, event: String = "message") throws(AssistantError) -> String? {
        guard !isDone, let data = Self.content(of: data) else { return nil }
        if data == "[DONE]" {
            isDone = true
            return nil
        }
        // Keep-alives of some servers are events with another name or type.
        let isOther = event != "message" && !event.contains("error")
        guard let chunk = parse(data) else {
            if isOther { return nil }
            throw event == "message" ? ChatCompletion.unreadable : AssistantError(data)
        }
        let isKeepAlive = ["ping", "keepalive", "keep-alive", "heartbeat"].contains(chunk["type"]?.string ?? "")
        if chunk.isNull || (isOther || isKeepAlive) && chunk["choices"] == nil { return nil }
        if let message = ChatCompletion.errorMessage(in: chunk) { throw AssistantError(message) }
        guard chunk.object != nil else { throw ChatCompletion.unreadable }
        usage = ChatCompletion.usage(in: chunk) ?? usage
        guard let choice = chunk["choices"]?[0] else { return nil }
        return try take(choice)
    }

    private mutating func take(_ choice: JSONValue) throws(AssistantError) -> String? {
        finishReason = FinishReason(choice["finish_reason"]?.string) ?? finishReason
        let delta = choice["delta"] ?? choice["message"]
        refusal += delta?["refusal"]?.string ?? ""
        try takeCalls(delta)
        let content = ChatCompletion.text(of: delta?["content"]) ?? choice["text"]?.string ?? ""
        let thought = delta?["reasoning_content"]?.string ?? delta?["reasoning"]?.string ?? ""
        if !content.isEmpty || !thought.isEmpty || !calls.isEmpty { hasBegun = true }
        if !thought.isEmpty { separatesReasoning = true }
        let piece = hasHalves ? joiner.feed(content) : content
        heldPieces.append(piece)
        var text = filter.feed(piece)
        if separatesReasoning { text += filter.release() }
        return said(text)
    }

    /// Returns what is held back although it may be reasoning; from then on nothing is held back.
    mutating func release() -> String? { said(filter.release()) }

    /// Returns what was held back, once the response has ended well.
    mutating func rest() -> String? {
        let half = joiner.finish()
        heldPieces.append(half)
        return said(filter.feed(half) + filter.finish())
    }

    /// Returns the turn when the response has ended; ``rest()`` comes before.
    /// - Throws: ``AssistantError`` when it ended before the provider declared it complete, or is empty.
    func finish() throws(AssistantError) -> ModelReply {
        guard isDone || finishReason != nil else { throw AssistantError("the provider's answer ended early") }
        // Text that was passed on may have turned out to be reasoning.
        let isKnown = filter.foundOpened || filter.foundUnopened
        let answer = isKnown ? (text: text, foundUnopened: false) : ReasoningFilter.answer(in: text)
        let calls = calls.map { call in
            var joiner = call.joiner
            return ToolInvocation(id: call.id, name: call.name, arguments: call.arguments + joiner.finish())
        }
        var reply = try ChatCompletion.reply(
            text: answer.text, toolCalls: calls, finishReason: finishReason, refusal: refusal, usage: usage)
        reply.hadUnopenedReasoning = tookOutReasoning || answer.foundUnopened
        return reply
    }

    private mutating func said(_ text: String) -> String? {
        if !filter.isHolding {
            // Many small pieces that waited together are passed on as one.
            let isWhole =
                heldPieces.count <= 64 && heldPieces.reduce(0) { $0 + $1.utf8.count } == text.utf8.count
            pieces = isWhole ? heldPieces.filter { !$0.isEmpty } : [text]
            heldPieces = []
        }
        self.text += text
        return text.isEmpty ? nil : text
    }

    // MARK: Events

    /// Returns data without the white space, byte order marks and NULs around it; nil when nothing is left.
    private static func content(of data: String) -> String? {
        let isKept: (Unicode.Scalar) -> Bool = { !$0.properties.isWhitespace && $0 != "\u{FEFF}" && $0 != "\0" }
        let scalars = data.unicodeScalars
        guard let first = scalars.firstIndex(where: isKept), let last = scalars.lastIndex(where: isKept) else {
            return nil
        }
        return String(scalars[first...last])
    }

    private mutating func parse(_ data: String) -> JSONValue? {
        if data.utf8.contains(UInt8(ascii: "\\")), let marked = SurrogateHalves.marked(Array(data.utf8)) {
            hasHalves = true
            return try? JSONValue(parsing: marked)
        }
        return try? JSONValue(parsing: data)
    }

    // MARK: Tool calls

    private mutating func takeCalls(_ delta: JSONValue?) throws(AssistantError) {
        let entries = delta?["tool_calls"]?.array ?? []
        // Calls in this event that have been begun or continued.
        var touched: Set<Int> = []
        for (position, entry) in entries.enumerated() {
            // Where the index is missing, the position among several calls stands for it.
            let index = entry["index"]?.int ?? (entries.count > 1 ? position : nil)
            let id = ChatCompletion.identifier(entry["id"])
            let name = entry["function"]?["name"]?.string ?? ""
            let known = index == nil ? calls.indices.last : calls.lastIndex { $0.index == index || $0.index == nil }
            var target = known
            if let known, begins(id, name, calls[known], isTouched: touched.contains(known)) { target = nil }
            touched.insert(try add(id, name, entry["function"]?["arguments"], to: target, index))
        }
        if entries.isEmpty, let call = delta?["function_call"], call.object != nil {
            _ = try add("", call["name"]?.string ?? "", call["arguments"], to: calls.indices.last, nil)
        }
    }

    /// Returns whether an entry is a call of its own, and does not continue a known one.
    private func begins(_ id: String, _ name: String, _ known: Call, isTouched: Bool) -> Bool {
        // Some servers number every call 0 but give each its own id.
        if !id.isEmpty, !known.id.isEmpty { return id != known.id }
        if name.isEmpty || known.name.isEmpty { return false }
        // A repeated name continues a call, unless that call has all its arguments.
        let isOther = name != known.name && (known.index == nil || !known.arguments.isEmpty)
        return isTouched || known.balance.isComplete || isOther
    }

    private mutating func add(
        _ id: String, _ name: String, _ value: JSONValue?, to known: Int?, _ index: Int?
    ) throws(AssistantError) -> Int {
        let target = known ?? calls.endIndex
        if known == nil {
            guard calls.count < ChatCompletion.maximumCalls else {
                throw AssistantError("the model asked for too many tool calls")
            }
            calls.append(Call(index: index))
        }
        if calls[target].id.isEmpty { calls[target].id = id }
        if calls[target].name != name { calls[target].name += name }
        var arguments = ToolArguments.text(of: value)
        if hasHalves { arguments = calls[target].joiner.feed(arguments) }
        calls[target].balance.feed(arguments)
        calls[target].arguments += arguments
        return target
    }
}
