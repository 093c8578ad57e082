import Foundation
import Glibc
import JSON

/// State of an answer: all that is needed to continue it, also when the user's confirmation comes in a new request.
struct AgentProgress: Sendable {
    /// The conversation so far, in the form of the chat-completions protocol.
    var messages: [JSONValue]
    /// Text that the model has said to the user.
    var text = ""
    /// Number of turns of the model so far.
    private(set) var steps = 0
    /// Number of tool calls so far.
    var calls = 0
    /// Number of tokens so far, at most ``maximumCount``.
    private(set) var tokens = 0
    /// Results of the last turn's calls, by their ids.
    var results: [String: String] = [:]
    var sources = AgentSources()
    /// Ticket by which a confirmed call runs only once, however often the confirmation is sent.
    var ticket = UUID().uuidString

    /// Upper bound of the counters: far above the configured limits, and far below an overflow.
    private static let maximumCount = 1 << 40

    /// Creates the state at the beginning of an answer.
    init(messages: [JSONValue]) { self.messages = messages }

    /// Counts a turn of the model and its tokens.
    mutating func countTurn(tokens count: Int) {
        steps += 1
        tokens = min(tokens + Self.bounded(count), Self.maximumCount)
    }

    private static func bounded(_ count: Int) -> Int { min(max(count, 0), maximumCount) }

    /// Calls of the last turn without a result.
    var openCalls: [ToolInvocation] {
        guard let last = messages.last else { return [] }
        return ChatCompletion.toolCalls(in: last).filter { results[$0.id] == nil }
    }

    var json: JSONValue {
        [
            "messages": .array(messages), "text": .string(text), "steps": .number(steps), "calls": .number(calls),
            "tokens": .number(tokens),
            "results": .object(JSONObject(results.map { ($0.key, JSONValue.string($0.value)) })),
            "sources": sources.json, "ticket": .string(ticket),
        ]
    }

    /// Reads the output of ``json``; nil for anything else.
    init?(json: JSONValue) {
        guard let messages = json["messages"]?.array, let text = json["text"]?.string,
            let steps = json["steps"]?.int, let calls = json["calls"]?.int, let tokens = json["tokens"]?.int,
            let results = json["results"]?.object, let ticket = json["ticket"]?.string
        else { return nil }
        self.messages = messages
        self.text = text
        self.steps = Self.bounded(steps)
        self.calls = Self.bounded(calls)
        self.tokens = Self.bounded(tokens)
        for (id, result) in results { self.results[id] = result.string }
        sources = AgentSources(json: json["sources"] ?? .null)
        self.ticket = ticket
    }

    /// Closes the last turn: its results become messages, in the order of its calls.
    mutating func closeTurn() {
        guard let last = messages.last else { return }
        for call in ChatCompletion.toolCalls(in: last) {
            messages.append(ChatCompletion.toolResult(results[call.id] ?? "", callID: call.id))
        }
        results = [:]
    }
}

/// Sources of an answer: the records that tools returned, and the tools themselves.
struct AgentSources: Sendable {
    private static let maximumRecords = 200
    private static let maximumCited = 8

    private var tools: [String] = []
    private var records: [(name: String, url: String)] = []

    /// Creates the state without sources.
    init() {}

    /// Reads the output of ``json``.
    init(json: JSONValue) {
        tools = json["tools"]?.array?.compactMap(\.string) ?? []
        for record in json["records"]?.array ?? [] {
            if let name = record[0]?.string, let url = record[1]?.string { records.append((name, url)) }
        }
    }

    var json: JSONValue {
        [
            "tools": .array(tools.map { .string($0) }),
            "records": .array(records.map { .array([.string($0.name), .string($0.url)]) }),
        ]
    }

    /// Adds the records of a tool's result.
    mutating func add(_ tool: String, _ result: JSONValue) {
        if !tools.contains(tool) { tools.append(tool) }
        for hit in result["results"]?.array ?? [] {
            guard records.count < Self.maximumRecords, let url = hit["url"]?.string, !url.isEmpty,
                let name = hit["name"]?.string ?? hit["title"]?.string, !name.isEmpty
            else { continue }
            if !records.contains(where: { $0.url == url }) { records.append((name, url)) }
        }
    }

    /// Returns the sources to append to an answer: the records that it names without their address, or, when it names
    /// none, the tools that were used.
    func citation(for answer: String) -> String {
        guard !tools.isEmpty else { return "" }
        let named = records.filter { answer.containsBytes(of: $0.name) && !answer.containsBytes(of: $0.url) }
        if !named.isEmpty {
            return "\n\nSources:" + named.prefix(Self.maximumCited).map { "\n- \($0.name) (\($0.url))" }.joined()
        }
        guard !records.contains(where: { answer.containsBytes(of: $0.url) }) else { return "" }
        return "\n\nSources: " + tools.joined(separator: ", ")
    }
}

extension String {
    /// Returns whether this text contains the bytes of another one, up to a NUL in either. Linear, because both come
    /// from outside.
    fileprivate func containsBytes(of other: String) -> Bool {
        withCString { text in other.withCString { strstr(text, $0) != nil } }
    }
}
