import CurlTransport
import JSON
import JSONConfiguration
import Logging
import NIOConcurrencyHelpers
import Observability
import TestSupport
import Testing

@testable import Assistant
@testable import Store

/// Against a real HTTP server.
@Suite struct ChatCompletionsProviderTests {
    private let engine = CurlEngine(label: "provider-tests")
    private let metrics = AssistantMetrics(registry: MetricsRegistry())

    private func provider(
        _ server: ScriptedHTTPServer, key: String? = nil, adjust: (inout ProviderConfiguration) -> Void = { _ in }
    ) -> ChatCompletionsProvider {
        var configuration = ProviderConfiguration(
            baseURL: server.url + "/v1/", model: "tiny", apiKey: key.map { Secret($0) })
        adjust(&configuration)
        return ChatCompletionsProvider(
            configuration: configuration, engine: engine, metrics: metrics, logger: Logger(label: "test"))
    }

    private func event(_ text: String) -> String {
        "data: " + JSONValue.object(["choices": [["delta": ["content": .string(text)]]]]).text + "\n\n"
    }

    @Test func aPromptIsPostedAndItsAnswerRead() async throws {
        let server = try await ScriptedHTTPServer { _ in
            .json(#"{"choices":[{"message":{"role":"assistant","content":"42"}}]}"#)
        }
        defer { server.stop() }
        #expect(try await provider(server, key: "secret-key").answer("why?", onDelta: nil) == "42")
        let request = try #require(server.requests.first)
        #expect(request.method == "POST")
        #expect(request.path == "/v1/chat/completions")
        #expect(request.headers["Authorization"] == ["Bearer secret-key"])
        #expect(request.headers["Content-Type"] == ["application/json"])
        let body = try JSONValue(parsing: request.text)
        #expect(body == ["model": "tiny", "messages": [["role": "user", "content": "why?"]]])
    }

    @Test func withoutAKeyNothingIsAuthorized() async throws {
        let server = try await ScriptedHTTPServer { _ in .json(#"{"choices":[{"message":{"content":"x"}}]}"#) }
        defer { server.stop() }
        _ = try await provider(server).answer("q", onDelta: nil)
        #expect(server.requests.first?.headers["Authorization"] == [])
    }

    @Test func deltasArriveInOrder() async throws {
        let events = ["Hel", "lo 🚀", " wörld"].map(event)
        let server = try await ScriptedHTTPServer { _ in
            .events((events + ["data: [DONE]\n\n"]).map { (.zero, $0) })
        }
        defer { server.stop() }
        let deltas = NIOLockedValueBox<[String]>([])
        let answer = try await provider(server).answer("q") { delta in deltas.withLockedValue { $0.append(delta) } }
        #expect(answer == "Hello 🚀 wörld")
        #expect(deltas.withLockedValue { $0 } == ["Hel", "lo 🚀", " wörld"])
        #expect(try JSONValue(parsing: #require(server.requests.first).text)["stream"]?.bool == true)
    }

    @Test func aPlainAnswerToAStreamedRequestIsAccepted() async throws {
        let server = try await ScriptedHTTPServer { _ in .json(#"{"choices":[{"message":{"content":"whole"}}]}"#) }
        defer { server.stop() }
        let deltas = NIOLockedValueBox<[String]>([])
        let answer = try await provider(server).answer("q") { delta in deltas.withLockedValue { $0.append(delta) } }
        #expect(answer == "whole")
        #expect(deltas.withLockedValue { $0 } == ["whole"])
    }

    @Test(arguments: [false, true])
    func theProvidersOwnErrorIsPassedOn(streamed: Bool) async throws {
        let server = try await ScriptedHTTPServer { _ in
            .json(#"{"error":{"message":"model unavailable"}}"#, status: 503)
        }
        defer { server.stop() }
        await #expect(throws: AssistantError("model unavailable")) {
            let ignore: @Sendable (String) async -> Void = { _ in }
            return try await provider(server).answer("q", onDelta: streamed ? ignore : nil)
        }
    }

    @Test func keyAndAddressAreNotRepeated() async throws {
        let server = try await ScriptedHTTPServer { request in
            let host = request.headers.first(name: "Host") ?? ""
            return .json(#"{"error":{"message":"bad key secret-key for http://\#(host)/v1 at \#(host)"}}"#, status: 401)
        }
        defer { server.stop() }
        let error = await #expect(throws: AssistantError.self) {
            try await provider(server, key: "secret-key").answer("q", onDelta: nil)
        }
        #expect(error?.message == "bad key … for … at …")
    }

    @Test func failuresWithoutWordsAreExplained() async throws {
        let responses: [(ScriptedResponse, String)] = [
            (.text("<html>", status: 502), "the provider answered with status 502"),
            (.text("<html>"), "the provider's answer cannot be read"),
            (.closeBeforeResponse, "the connection to the provider failed"),
            (.closeMidBody(), "the connection to the provider failed"),
            (.hang, "the provider did not answer in time"),
            (.json("{\"x\":\"" + String(repeating: "y", count: 5000) + "\"}"), "the provider's answer is too large"),
        ]
        for (response, message) in responses {
            let server = try await ScriptedHTTPServer { _ in response }
            defer { server.stop() }
            let provider = provider(server) {
                if case .hang = response { $0.timeout = .milliseconds(300) }
                $0.maxAnswer = 4096
            }
            await #expect(throws: AssistantError(message)) { try await provider.answer("q", onDelta: nil) }
        }
    }

    @Test func aProviderThatIsNotThereIsUnreachable() async throws {
        // Port 1 is reserved: no other test can come to listen there.
        let provider = ChatCompletionsProvider(
            configuration: ProviderConfiguration(baseURL: "http://127.0.0.1:1/v1", model: "tiny"), engine: engine,
            metrics: metrics,
            logger: Logger(label: "test"))
        await #expect(throws: AssistantError("the provider cannot be reached")) {
            try await provider.answer("q", onDelta: nil)
        }
    }

    @Test func aStreamCutShortIsAnError() async throws {
        let server = try await ScriptedHTTPServer { [event = event("half")] _ in .events([(.zero, event)]) }
        defer { server.stop() }
        await #expect(throws: AssistantError("the provider's answer ended early")) {
            try await provider(server).answer("q") { _ in }
        }
    }

    @Test func aCallerThatLeavesEndsTheTransfer() async throws {
        let server = try await ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        let provider = provider(server)
        let task = Task { try await provider.answer("q", onDelta: nil) }
        try await server.waitUntil { $0.requests.count == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await server.waitUntil { $0.openConnections == 0 }
    }
}
