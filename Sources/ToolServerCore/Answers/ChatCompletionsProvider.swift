import Configuration
import CurlTransport
import Foundation
import JSON
import Logging
import MCP
import NIOCore
import Observability
import ServiceRuntime
import Synchronization

/// An AI provider over HTTP that speaks the OpenAI-compatible chat-completions protocol.
final class ChatCompletionsProvider: LanguageModel {
    let configuration: ProviderConfiguration
    private let engine: CurlEngine
    private let metrics: AnswerMetrics
    private let tracer: SpanExporter?
    private let logger: Logger
    private let slots: ProviderSlots
    private let errorText: ErrorText
    /// What the provider has proved not to take.
    private let unsupported = Mutex<Set<ChatCompletion.Extra>>([])

    /// A provider that sends its requests through the engine.
    init(
        configuration: ProviderConfiguration, engine: CurlEngine, metrics: AnswerMetrics, tracer: SpanExporter? = nil,
        logger: Logger
    ) {
        self.configuration = configuration
        self.engine = engine
        self.metrics = metrics
        self.tracer = tracer
        self.logger = logger
        slots = ProviderSlots(limit: configuration.maxConcurrent)
        errorText = ErrorText(configuration)
    }

    func reply(to request: ModelRequest, onDelta: AnswerDelta?) async throws -> ModelReply {
        do {
            return try await reply(to: request, patience: .seconds(60), delivery: Delivery(onDelta))
        } catch let failure as ProviderFailure {
            throw AnswerError(failure.message)
        }
    }

    /// The same, with the failure as it is.
    /// - Parameter patience: the longest wait before asking again.
    func reply(to request: ModelRequest, patience: Duration, delivery: Delivery) async throws -> ModelReply {
        let deadline = min(.now + configuration.timeout, request.deadline ?? .now + .seconds(86_400))
        var attempt = 0
        while true {
            do {
                return try await send(request, until: deadline, delivery)
            } catch var failure as ProviderFailure {
                failure.message = errorText.redacted(failure.message)
                var metadata: Logger.Metadata = [
                    "provider": "\(configuration.name)", "reason": "\(failure.reason.rawValue)",
                ]
                if let status = failure.status { metadata["http.status"] = "\(status)" }
                logger.warning("provider failed", metadata: metadata)
                let delay = failure.retryAfter ?? Self.backoff(attempt)
                guard failure.isRetryable, !delivery.hasBegun, attempt < configuration.retries, delay <= patience,
                    .now + delay < deadline
                else { throw failure }
                attempt += 1
                metrics.retries.with(configuration.name).increment()
                try await Task.sleep(for: delay)
            }
        }
    }

    /// 0.2 s, doubled each time up to 5 s, each drawn from its upper half so that callers do not come back together.
    private static func backoff(_ attempt: Int) -> Duration {
        let ceiling = min(0.2 * Double(1 << min(attempt, 8)), 5)
        return .seconds(Double.random(in: ceiling / 2...ceiling))
    }

    // MARK: One request

    private func send(
        _ request: ModelRequest, until deadline: ContinuousClock.Instant, _ delivery: Delivery
    ) async throws -> ModelReply {
        do {
            try await slots.enter(until: deadline)
        } catch is ProviderSlots.Exhausted {
            throw ProviderFailure(.busy, "the provider is busy")
        }
        defer { slots.leave() }
        let refused = unsupported.withLock { $0 }
        do {
            return try await metered(request, without: refused, until: deadline, delivery)
        } catch let failure as ProviderFailure {
            let suspects = Self.suspects(failure, in: request, streamed: delivery.isWanted).subtracting(refused)
            guard !suspects.isEmpty, !delivery.hasBegun else { throw failure }
            let reply = try await metered(request, without: refused.union(suspects), until: deadline, delivery)
            unsupported.withLock { $0.formUnion(suspects) }
            logger.warning(
                "provider does not take part of the protocol",
                metadata: ["provider": "\(configuration.name)", "without": "\(suspects)"])
            return reply
        }
    }

    /// Servers that do not know tools, or the wish for usage, refuse the request with a word about it.
    private static func suspects(
        _ failure: ProviderFailure, in request: ModelRequest, streamed: Bool
    ) -> Set<ChatCompletion.Extra> {
        guard let status = failure.status, [400, 404, 422, 500, 501].contains(status) else { return [] }
        let message = failure.message.lowercased()
        let isFirst = !request.messages.contains { $0["role"]?.string == "tool" }
        var suspects: Set<ChatCompletion.Extra> = []
        if !request.tools.isEmpty, isFirst, message.contains("tool") { suspects.insert(.tools) }
        if streamed, message.contains("stream_options") || message.contains("include_usage") {
            suspects.insert(.streamUsage)
        }
        return suspects
    }

    private func metered(
        _ request: ModelRequest, without refused: Set<ChatCompletion.Extra>, until deadline: ContinuousClock.Instant,
        _ delivery: Delivery
    ) async throws -> ModelReply {
        let name = configuration.name
        let start = ContinuousClock.now
        let spanStart = NIODeadline.now()
        metrics.active.with(name).add(1)
        defer {
            metrics.active.with(name).add(-1)
            metrics.duration.with(name).observe(ContinuousClock.now - start)
        }
        do {
            let request = curlRequest(request, streamed: delivery.isWanted, without: refused, until: deadline)
            let reply = delivery.isWanted ? try await streamed(request, delivery, start) : try await whole(request)
            metrics.requests.with(name, "ok").increment()
            if let usage = reply.usage {
                metrics.tokens.with(name, "prompt").increment(by: UInt64(usage.prompt))
                metrics.tokens.with(name, "completion").increment(by: UInt64(usage.completion))
            }
            tracer?.record(configuration, from: spanStart, usage: reply.usage)
            return reply
        } catch {
            let failure: ProviderFailure
            switch error {
            case is CancellationError: failure = ProviderFailure(.broken, "")
            case let error as ProviderFailure: failure = error
            case let error as CurlError: failure = ProviderFailure(error)
            case let error as AnswerError: failure = ProviderFailure(error)
            // An event beyond the parser's limit.
            default: failure = ProviderFailure(.tooLarge, "the provider's answer is too large")
            }
            if Task.isCancelled {
                metrics.requests.with(name, "cancelled").increment()
                tracer?.record(configuration, from: spanStart, error: "cancelled")
                throw CancellationError()
            }
            metrics.requests.with(name, failure.reason.rawValue).increment()
            tracer?.record(configuration, from: spanStart, error: failure.reason.rawValue, status: failure.status)
            throw failure
        }
    }

    private func curlRequest(
        _ request: ModelRequest, streamed: Bool, without refused: Set<ChatCompletion.Extra>,
        until deadline: ContinuousClock.Instant
    ) -> CurlRequest {
        var headers = CurlHeaders()
        headers.append(name: "Content-Type", value: "application/json")
        headers.append(name: "Accept", value: streamed ? "text/event-stream, application/json" : "application/json")
        if let apiKey = configuration.apiKey { headers.append(name: "Authorization", value: "Bearer \(apiKey.value)") }
        if let organization = configuration.organization {
            headers.append(name: "OpenAI-Organization", value: organization)
        }
        if let project = configuration.project { headers.append(name: "OpenAI-Project", value: project) }
        for (name, value) in configuration.headers { headers.set(name: name, value: value.value) }
        let body = ChatCompletion.request(
            request, model: configuration.model, parameters: configuration.parameters, streamed: streamed,
            without: refused)
        return CurlRequest(
            method: "POST", url: configuration.baseURL + "/chat/completions", headers: headers,
            body: ByteBuffer(bytes: body), timeout: max(deadline - .now, .milliseconds(1)),
            connectTimeout: configuration.connectTimeout, maximumResponseBytes: configuration.maxAnswer,
            mode: streamed ? .streaming : .buffered, proxy: configuration.proxy?.value)
    }

    private func whole(_ request: CurlRequest) async throws -> ModelReply {
        let response = try await engine.execute(request)
        return try reply(
            status: response.status, headers: response.headers, body: Array(response.body.readableBytesView))
    }

    private func reply(status: Int, headers: CurlHeaders, body: [UInt8]) throws -> ModelReply {
        let json = try? JSONValue(parsing: body)
        guard (200..<300).contains(status) else {
            throw ProviderFailure(status: status, headers: headers, body: json, now: Date())
        }
        guard let json else { throw ProviderFailure(.unreadable, "the provider's answer cannot be read") }
        return try ChatCompletion.reply(in: json)
    }

    private func streamed(
        _ request: CurlRequest, _ delivery: Delivery, _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let watch = SilenceWatch(first: configuration.firstTokenTimeout, later: configuration.idleTimeout)
        return try await withThrowingTaskGroup(of: ModelReply?.self) { group in
            group.addTask { try await self.read(request, delivery, watch, start) }
            group.addTask {
                try await watch.expire()
                return nil
            }
            defer { group.cancelAll() }
            guard let finished = try await group.next(), let reply = finished else {
                throw ProviderFailure(
                    .timeout,
                    delivery.hasBegun
                        ? "the provider stopped in the middle of its answer" : "the provider did not answer in time")
            }
            return reply
        }
    }

    private func read(
        _ request: CurlRequest, _ delivery: Delivery, _ watch: SilenceWatch, _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let response = try await engine.stream(request)
        let isEvents =
            response.headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
        guard isEvents, (200..<300).contains(response.status) else {
            var body: [UInt8] = []
            for try await chunk in response.body { body.append(contentsOf: chunk.readableBytesView) }
            let reply = try reply(status: response.status, headers: response.headers, body: body)
            if !reply.text.isEmpty { await pass(reply.text, delivery, watch, start) }
            return reply
        }
        var parser = SSEParser(maximumEventBytes: configuration.maxAnswer)
        var stream = ChatCompletionStream()
        for try await chunk in response.body {
            try Task.checkCancellation()
            for event in try parser.feed(chunk.readableBytesView) where event.hasData {
                let delta = try stream.receive(event.data)
                // Comments and empty events keep a connection open, but they are no answer.
                if stream.hasBegun { watch.heard() }
                if let delta { await pass(delta, delivery, watch, start) }
            }
            if stream.isDone { break }
        }
        if let rest = stream.rest() { await pass(rest, delivery, watch, start) }
        let said = stream.text
        let reply = try stream.finish()
        if reply.text.count > said.count {
            await pass(String(reply.text.dropFirst(said.count)), delivery, watch, start)
        }
        return reply
    }

    private func pass(
        _ text: String, _ delivery: Delivery, _ watch: SilenceWatch, _ start: ContinuousClock.Instant
    ) async {
        if !delivery.hasBegun { metrics.firstToken.with(configuration.name).observe(ContinuousClock.now - start) }
        watch.pause()
        await delivery.pass(text)
        watch.heard()
    }
}

/// Passes the pieces of an answer on and remembers whether there was one: from then on nothing can be taken back.
final class Delivery: Sendable {
    private let onDelta: AnswerDelta?
    private let begun = Atomic(false)

    init(_ onDelta: AnswerDelta?) { self.onDelta = onDelta }

    /// Whether anybody wants pieces.
    var isWanted: Bool { onDelta != nil }
    /// Whether a piece has been passed on.
    var hasBegun: Bool { begun.load(ordering: .relaxed) }

    func pass(_ text: String) async {
        begun.store(true, ordering: .relaxed)
        await onDelta?(text)
    }
}
