import CurlTransport
import Foundation
import JSON
import JSONConfiguration
import Logging
import NIOConcurrencyHelpers
import Observability
import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import Store

/// Retries, failover, timeouts, limits and what callers are told, against a real HTTP server.
@Suite struct ProviderRecoveryTests {
    @Test(arguments: [408, 429, 500, 502, 503, 529])
    func aPassingFailureIsTriedAgain(status: Int) async throws {
        let fake = try await FakeProvider([.error(status, "later"), .text("there")])
        defer { fake.server.stop() }
        #expect(try await fake.model().answer("q", onDelta: nil) == "there")
        #expect(fake.bodies.count == 2)
        #expect(fake.registry.exposition().contains("tool_server_provider_retries_total{provider=\"primary\"} 1"))
    }

    @Test(arguments: [400, 401, 403, 404, 422])
    func aFinalFailureIsNot(status: Int) async throws {
        let fake = try await FakeProvider([.error(status, "no")])
        defer { fake.server.stop() }
        await #expect(throws: AssistantError("no")) { try await fake.model().answer("q", onDelta: nil) }
        #expect(fake.bodies.count == 1)
    }

    @Test func retriesEnd() async throws {
        let fake = try await FakeProvider([.error(503, "model unavailable")])
        defer { fake.server.stop() }
        await #expect(throws: AssistantError("model unavailable")) { try await fake.model().answer("q", onDelta: nil) }
        #expect(fake.bodies.count == 3)
    }

    @Test func retryAfterIsObeyed() async throws {
        let fake = try await FakeProvider([.error(429, "slow down", headers: [("Retry-After", "7")]), .text("ok")])
        defer { fake.server.stop() }
        let pauses = NIOLockedValueBox<[Duration]>([])
        #expect(try await fake.model(pauses: pauses).answer("q", onDelta: nil) == "ok")
        #expect(pauses.withLockedValue { $0 } == [.seconds(7)])
    }

    @Test func aWaitBeyondTheTimeoutIsNotBegun() async throws {
        let fake = try await FakeProvider([.error(429, "slow down", headers: [("Retry-After", "59")])])
        defer { fake.server.stop() }
        let pauses = NIOLockedValueBox<[Duration]>([])
        let model = fake.model(pauses: pauses) { $0.timeout = .seconds(30) }
        await #expect(throws: AssistantError("slow down")) { try await model.answer("q", onDelta: nil) }
        #expect(pauses.withLockedValue { $0 } == [])
    }

    @Test func pausesGrow() async throws {
        let fake = try await FakeProvider([.error(503, "down")])
        defer { fake.server.stop() }
        let pauses = NIOLockedValueBox<[Duration]>([])
        let model = fake.model(pauses: pauses) {
            $0.retries = 8
            $0.timeout = .seconds(3600)
        }
        await #expect(throws: AssistantError("down")) { try await model.answer("q", onDelta: nil) }
        let ceilings: [Duration] = [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5].map { .seconds($0) }
        #expect(pauses.withLockedValue { $0.count } == ceilings.count)
        for (pause, ceiling) in zip(pauses.withLockedValue { $0 }, ceilings) {
            #expect(pause >= ceiling / 2 && pause <= ceiling)
        }
    }

    @Test(arguments: [
        ("Retry-After", "2", Duration.seconds(2)), ("retry-after-ms", "250", .milliseconds(250)),
        ("Retry-After", "Thu, 01 Jan 1970 00:00:30 GMT", .seconds(20)),
        ("Retry-After", "Thu, 01 Jan 1970 00:00:01 GMT", .zero),
    ])
    func waitsAreRead(header: String, value: String, delay: Duration) {
        let now = Date(timeIntervalSince1970: 10)
        #expect(RetryAfter.delay(in: [(name: header, value: value)], now: now) == delay)
        #expect(RetryAfter.delay(in: [(name: header, value: "soon")], now: now) == nil)
    }

    @Test func nothingIsTriedAgainAfterTheFirstToken() async throws {
        let half = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n"
        let fake = try await FakeProvider([
            .response(.events([(.zero, half), (.zero, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n")])),
            .text("whole"),
        ])
        defer { fake.server.stop() }
        let pieces = Pieces()
        await #expect(throws: AssistantError("overloaded")) {
            try await fake.model().answer("q", onDelta: pieces.onDelta)
        }
        #expect(pieces.all == ["half"])
        #expect(fake.bodies.count == 1)
    }

    @Test func theNextProviderIsAsked() async throws {
        let broken = try await FakeProvider([
            .error(401, "bad key"), .error(429, "busy", headers: [("Retry-After", "9")]), .response(.text("<html>")),
        ])
        let working = try await FakeProvider([.text("from the second")])
        defer {
            broken.server.stop()
            working.server.stop()
        }
        let chain = ProviderChain(
            providers: [broken.model(), working.model { $0.name = "second" }], coolDown: .zero,
            logger: Logger(label: "test"))
        for count in 1...3 {
            let pieces = Pieces()
            #expect(try await chain.answer("q", onDelta: pieces.onDelta) == "from the second")
            #expect(pieces.all.joined() == "from the second")
            #expect(broken.bodies.count == count)
        }
    }

    @Test func whatOneProviderRefusesIsNotAskedElsewhere() async throws {
        let refusing = try await FakeProvider([.text("", finishReason: "content_filter")])
        let other = try await FakeProvider([.text("anything")])
        defer {
            refusing.server.stop()
            other.server.stop()
        }
        let chain = ProviderChain(providers: [refusing.model(), other.model()], logger: Logger(label: "test"))
        await #expect(throws: AssistantError("the provider's content filter stopped the answer")) {
            try await chain.answer("q", onDelta: nil)
        }
        #expect(other.bodies.isEmpty)
    }

    @Test func silenceBeforeTheFirstTokenEndsTheCall() async throws {
        // Comments keep the connection busy, but they are no token.
        let comments = (0..<100).map { _ in (Duration.milliseconds(20), ": waiting\n\n") }
        let fake = try await FakeProvider([.response(.events(comments))])
        defer { fake.server.stop() }
        let model = fake.model { $0.firstTokenTimeout = .milliseconds(150) }
        await #expect(throws: AssistantError("the provider did not answer in time")) {
            try await model.answer("q") { _ in }
        }
        try await fake.server.waitUntil { $0.openConnections == 0 }
    }

    @Test func silenceBetweenTokensEndsTheCall() async throws {
        let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"
        let fake = try await FakeProvider([.response(.events([(.zero, event), (.seconds(20), event)]))])
        defer { fake.server.stop() }
        let model = fake.model { $0.idleTimeout = .milliseconds(150) }
        let pieces = Pieces()
        await #expect(throws: AssistantError("the provider stopped in the middle of its answer")) {
            try await model.answer("q", onDelta: pieces.onDelta)
        }
        #expect(pieces.all == ["x"])
    }

    @Test func aSlowReaderIsNotTheProvidersSilence() {
        let now = ContinuousClock.now
        let idle = IdleTimeout(first: .seconds(20), later: .seconds(5), now: now)
        idle.check(now + .seconds(19))
        idle.heard(now + .seconds(19))
        idle.pause()
        idle.check(now + .seconds(500))
        #expect(!idle.isOver)
        idle.heard(now + .seconds(500))
        idle.check(now + .seconds(504))
        #expect(!idle.isOver)
        idle.check(now + .seconds(505))
        #expect(idle.isOver)
        // For good.
        idle.heard(now + .seconds(505))
        #expect(idle.isOver)
    }

    @Test func onlySoManyRequestsRunAtATime() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let body = #"{"choices":[{"message":{"content":"x"}}]}"#
        let fake = try await FakeProvider([
            .response(
                .produce(status: 200, headers: [("Content-Type", "application/json")]) { writer in
                    for await _ in gate { break }
                    try await writer.write(body)
                })
        ])
        defer { fake.server.stop() }
        let model = fake.model { $0.maxConcurrent = 2 }
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<6 { group.addTask { try await model.answer("q", onDelta: nil) } }
            for answered in 0..<6 {
                // As many have been asked as were answered, and two more.
                try await fake.server.waitUntil { $0.requests.count == min(answered + 2, 6) }
                open.yield()
                #expect(try await group.next() == "x")
            }
        }
        #expect(fake.server.log.acceptedConnections <= 2)
    }

    @Test func aCallThatWaitsTooLongForAPlaceIsTold() async throws {
        let fake = try await FakeProvider([.response(.hang)])
        defer { fake.server.stop() }
        let model = fake.model { $0.maxConcurrent = 1 }
        let first = Task { try await model.answer("q", onDelta: nil) }
        try await fake.server.waitUntil { $0.requests.count == 1 }
        await #expect(throws: AssistantError("the provider is busy")) {
            try await model.reply(to: ModelRequest(messages: [], deadline: .now), onDelta: nil)
        }
        // A waiter that leaves does not take the place with it.
        let leaving = Task { try await model.answer("q", onDelta: nil) }
        leaving.cancel()
        await #expect(throws: CancellationError.self) { try await leaving.value }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
    }

    @Test func placesAreGivenInTheirOrder() async throws {
        let semaphore = AsyncSemaphore(limit: 1)
        let later = ContinuousClock.now + .seconds(3600)
        try await semaphore.acquire(until: later)
        await #expect(throws: AsyncSemaphore.TimedOut.self) { try await semaphore.acquire(until: .now) }
        let waiter = Task { try await semaphore.acquire(until: later) }
        let leaving = Task { try await semaphore.acquire(until: later) }
        leaving.cancel()
        await #expect(throws: CancellationError.self) { try await leaving.value }
        semaphore.release()
        try await waiter.value
        semaphore.release()
        try await semaphore.acquire(until: later)
    }

    @Test func aServerWithoutToolsIsAskedWithout() async throws {
        let fake = try await FakeProvider([
            .error(400, "registry.ollama.ai/library/tiny does not support tools"), .text("plain"), .text("plain"),
        ])
        defer { fake.server.stop() }
        let model = fake.model()
        let request = ModelRequest(
            messages: [ChatCompletion.user("q")], tools: [["type": "function", "function": ["name": "x"]]])
        #expect(try await model.reply(to: request, onDelta: nil).text == "plain")
        #expect(try await model.reply(to: request, onDelta: nil).text == "plain")
        #expect(fake.bodies.map { $0["tools"] != nil } == [true, false, false])
    }

    @Test func headersAndParametersGoAlong() async throws {
        let fake = try await FakeProvider([.text("x")])
        defer { fake.server.stop() }
        let model = fake.model {
            $0.organization = "org-1"
            $0.project = "proj-1"
            $0.headers = [("X-Title", Secret("chat")), ("api-key", Secret("other-key"))]
            $0.parameters = ["temperature": 0.5]
        }
        _ = try await model.answer("q", onDelta: nil)
        let request = try #require(fake.server.requests.first)
        #expect(request.header("OpenAI-Organization") == "org-1")
        #expect(request.header("OpenAI-Project") == "proj-1")
        #expect(request.header("X-Title") == "chat")
        #expect(request.header("api-key") == "other-key")
        #expect(fake.bodies.first?["temperature"]?.double == 0.5)
    }

    @Test func aProxyIsUsed() async throws {
        let fake = try await FakeProvider([.text("through the proxy")])
        defer { fake.server.stop() }
        let model = fake.model {
            $0.proxy = Secret(fake.server.url)
            $0.baseURL = "http://provider.invalid/v1"
        }
        #expect(try await model.answer("q", onDelta: nil) == "through the proxy")
        #expect(fake.server.requests.first?.path == "http://provider.invalid/v1/chat/completions")
    }

    @Test func usageIsCounted() async throws {
        let fake = try await FakeProvider([.text("x")])
        defer { fake.server.stop() }
        let model = fake.model()
        _ = try await model.answer("q", onDelta: nil)
        _ = try await model.answer("q") { _ in }
        let metrics = fake.registry.exposition()
        #expect(metrics.contains("tool_server_provider_tokens_total{provider=\"primary\",kind=\"prompt\"} 20"))
        #expect(metrics.contains("tool_server_provider_requests_total{provider=\"primary\",outcome=\"ok\"} 2"))
        #expect(fake.bodies.last?["stream_options"]?["include_usage"]?.bool == true)
    }

    @Test func credentialsInAMessageAreTakenOut() async throws {
        let message =
            "Incorrect key sk-proj-abcdefgh12345; see https://user:hunter2@internal.example/x, Bearer abcdefghijkl, "
            + "header other-key"
        let fake = try await FakeProvider([.error(401, message)])
        defer { fake.server.stop() }
        let model = fake.model { $0.headers = [("api-key", Secret("other-key"))] }
        let error = await #expect(throws: AssistantError.self) { try await model.answer("q", onDelta: nil) }
        #expect(error?.message == "Incorrect key …; see https://…@internal.example/x, …, header …")
    }
}
