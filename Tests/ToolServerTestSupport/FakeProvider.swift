#if DEBUG

package import CurlTransport
package import JSON
import Logging
package import NIOConcurrencyHelpers
import NIOCore
package import Observability
package import TestSupport

@testable package import Assistant

/// An AI provider of the tests: speaks the chat-completions protocol over HTTP, streamed and not, from a script.
package final class FakeProvider: Sendable {
    /// A response to one request. After the script's end its last entry is repeated.
    package enum Turn: Sendable {
        case text(String, finishReason: String = "stop")
        case calls([(name: String, arguments: String)], text: String = "")
        case error(Int, String, headers: [(String, String)] = [])
        case response(ScriptedResponse)
        /// Answers with the last message, as the simplest of servers do.
        case echo
    }

    /// The HTTP server.
    package let server: ScriptedHTTPServer
    /// The engine of the models that ``model(_:)`` returns.
    package let engine: CurlEngine
    /// The metrics of these models.
    package let registry = MetricsRegistry()

    /// - Parameters:
    ///   - writeSize: bytes a write, so that events and characters are split anywhere; 0: an event a write.
    ///   - argumentSize: characters of a call's arguments that one delta carries; 0: all.
    package init(_ script: [Turn], writeSize: Int = 0, argumentSize: Int = 0, textSize: Int = 5) async throws {
        let next = NIOLockedValueBox(0)
        engine = CurlEngine(label: "fake-provider-tests")
        server = try await ScriptedHTTPServer { request in
            let index = next.withLockedValue { next in
                next += 1
                return next - 1
            }
            let body = (try? JSONValue(parsing: request.text)) ?? .null
            var turn = script[min(index, script.count - 1)]
            if case .echo = turn { turn = .text(body["messages"]?.array?.last?["content"]?.string ?? "") }
            switch turn {
            case .response(let response): return response
            case .error(let status, let message, let headers):
                return .json(
                    JSONValue.object(["error": ["message": .string(message)]]).text, status: status, headers: headers)
            default: break
            }
            guard body["stream"]?.bool == true else { return .json(Self.whole(turn, index).text) }
            let events = Self.events(turn, index, argumentSize: argumentSize, textSize: textSize)
            return .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                guard writeSize > 0 else {
                    for event in events { try await writer.write(event) }
                    return
                }
                let bytes = Array(events.joined().utf8)
                for start in stride(from: 0, to: bytes.count, by: writeSize) {
                    try await writer.write(ByteBuffer(bytes: bytes[start..<min(start + writeSize, bytes.count)]))
                }
            }
        }
    }

    /// Bodies of the requests.
    package var bodies: [JSONValue] { server.requests.map { (try? JSONValue(parsing: $0.text)) ?? .null } }

    /// Messages of the request with that number.
    package func messages(_ index: Int) -> [JSONValue] { bodies[index]["messages"]?.array ?? [] }

    /// The configuration of a provider that asks this server.
    package var configuration: ProviderConfiguration {
        var configuration = ProviderConfiguration(baseURL: server.url + "/v1", model: "tiny")
        configuration.connectTimeout = configuration.connectTimeout.underSanitizer
        configuration.firstTokenTimeout = configuration.firstTokenTimeout.underSanitizer
        configuration.idleTimeout = configuration.idleTimeout.underSanitizer
        configuration.timeout = configuration.timeout.underSanitizer
        return configuration
    }

    /// A model whose pauses before it asks again are only noted.
    package func model(
        pauses: NIOLockedValueBox<[Duration]>, _ adjust: (inout ProviderConfiguration) -> Void = { _ in }
    ) -> ChatCompletionsProvider {
        var configuration = configuration
        adjust(&configuration)
        return ChatCompletionsProvider(
            configuration: configuration, engine: engine, metrics: AssistantMetrics(registry: registry),
            logger: Logger(label: "test")
        ) { pause in pauses.withLockedValue { $0.append(pause) } }
    }

    /// Returns a model that asks this server.
    package func model(_ adjust: (inout ProviderConfiguration) -> Void = { _ in }) -> ChatCompletionsProvider {
        var configuration = configuration
        adjust(&configuration)
        return ChatCompletionsProvider(
            configuration: configuration, engine: engine, metrics: AssistantMetrics(registry: registry),
            logger: Logger(label: "test"))
    }

    private static func whole(_ turn: Turn, _ index: Int) -> JSONValue {
        var message: JSONObject = ["role": "assistant", "content": .null]
        var finishReason = "tool_calls"
        switch turn {
        case .text(let text, let reason):
            message["content"] = .string(text)
            finishReason = reason
        case .calls(let calls, let text):
            if !text.isEmpty { message["content"] = .string(text) }
            message["tool_calls"] = .array(
                calls.enumerated().map { number, call in
                    [
                        "id": .string("call-\(index)-\(number)"), "type": "function",
                        "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
                    ]
                })
        default: break
        }
        return [
            "choices": [["message": .object(message), "finish_reason": .string(finishReason)]],
            "usage": ["prompt_tokens": 10, "completion_tokens": 5],
        ]
    }

    private static func events(_ turn: Turn, _ index: Int, argumentSize: Int, textSize: Int) -> [String] {
        var deltas: [JSONValue] = [["role": "assistant", "content": ""]]
        var finishReason = "tool_calls"
        func add(_ text: String) {
            for piece in pieces(text, textSize) { deltas.append(["content": .string(piece)]) }
        }
        switch turn {
        case .text(let text, let reason):
            add(text)
            finishReason = reason
        case .calls(let calls, let text):
            add(text)
            for (number, call) in calls.enumerated() {
                let pieces = pieces(call.arguments, argumentSize)
                deltas.append([
                    "tool_calls": [
                        [
                            "index": .number(number), "id": .string("call-\(index)-\(number)"), "type": "function",
                            "function": ["name": .string(call.name), "arguments": .string(pieces.first ?? "")],
                        ]
                    ]
                ])
                for piece in pieces.dropFirst() {
                    deltas.append([
                        "tool_calls": [["index": .number(number), "function": ["arguments": .string(piece)]]]
                    ])
                }
            }
        default: break
        }
        var chunks = deltas.map { JSONValue.object(["choices": [["index": 0, "delta": $0]]]) }
        chunks.append(["choices": [["index": 0, "delta": [:], "finish_reason": .string(finishReason)]]])
        chunks.append(["choices": [], "usage": ["prompt_tokens": 10, "completion_tokens": 5]])
        return [": a comment\n\n"] + chunks.map { "data: \($0.text)\n\n" } + ["data: [DONE]\n\n"]
    }

    private static func pieces(_ text: String, _ size: Int) -> [String] {
        guard size > 0 else { return [text] }
        var rest = Substring(text)
        var pieces: [String] = []
        while !rest.isEmpty {
            pieces.append(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return pieces
    }
}

/// Collects the pieces of an answer.
package final class Pieces: Sendable {
    private let box = NIOLockedValueBox<[String]>([])

    /// Starts without a piece.
    package init() {}

    /// The pieces so far, in order.
    package var all: [String] { box.withLockedValue { $0 } }
    /// The receiver of the pieces.
    package var onDelta: ResponseDelta { { [box] piece in box.withLockedValue { $0.append(piece) } } }
}

#endif
