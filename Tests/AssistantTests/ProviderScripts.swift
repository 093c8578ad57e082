import JSON
import ToolServerTestSupport

@testable import Assistant

/// Bodies and events of providers, and what becomes of them.
protocol ProviderScripts {}

extension ProviderScripts {
    func event(_ delta: String, _ finish: String = "null") -> String {
        "data: {\"choices\":[{\"delta\":\(delta),\"finish_reason\":\(finish)}]}\n\n"
    }

    func said(_ text: String, _ finish: String = "null") -> String {
        event(JSONValue.object(["content": .string(text)]).text, finish)
    }

    func whole(_ message: String, _ finish: String = "\"stop\"") -> String {
        "{\"choices\":[{\"message\":\(message),\"finish_reason\":\(finish)}]}"
    }

    var done: String { "data: [DONE]\n\n" }
    var question: ModelRequest { ModelRequest(messages: [ChatCompletion.user("q")]) }

    /// Streams each script's events from a server of its own.
    func answer(
        streaming events: [String], _ adjust: (inout ProviderConfiguration) -> Void = { _ in }
    ) async throws -> (reply: ModelReply, pieces: [String]) {
        let fake = try await FakeProvider([.response(.events(events.map { (.zero, $0) }))])
        defer { fake.server.stop() }
        let pieces = Pieces()
        let reply = try await fake.model(adjust).reply(to: question, onDelta: pieces.onDelta)
        return (reply, pieces.all)
    }

    func reply(to body: String, status: Int = 200) async throws -> ModelReply {
        let fake = try await FakeProvider([.response(.json(body, status: status))])
        defer { fake.server.stop() }
        return try await fake.model { $0.retries = 0 }.reply(to: question, onDelta: nil)
    }
}
