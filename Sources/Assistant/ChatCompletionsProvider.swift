import CurlTransport
import Foundation
import JSON
import JSONConfiguration
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
    private let silences = SilenceWatches()
    private let errorText: ErrorText
    /// How often the caller hears that the model is at work while it says nothing.
    private let signInterval: Duration
    /// What the provider has proved not to take.
    private let unsupported = Mutex<Set<ChatCompletion.Extra>>([])

    /// A provider that sends its requests through the engine.
    init(
        configuration: ProviderConfiguration, engine: CurlEngine, metrics: AnswerMetrics, tracer: SpanExporter? = nil,
        logger: Logger, signInterval: Duration = .seconds(5)
    ) {
        self.configuration = configuration
        self.engine = engine
        self.metrics = metrics
        self.tracer = tracer
        self.logger = logger
        self.signInterval = signInterval
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
        let limits = Limits(of: request, configuration, isStreamed: delivery.isWanted)
        var attempt = 0
        while true {
            do {
                return try await send(request, limits, delivery)
            } catch let failure as ProviderFailure {
                let delay = try pause(after: noted(failure), attempt, patience, limits, delivery)
                attempt += 1
                metrics.retries.with(configuration.name).increment()
                try await Task.sleep(for: delay)
            }
        }
    }

    /// How long to wait before the request is sent again.
    /// - Throws: the failure, when it must not be.
    @inline(never)
    private func pause(
        after failure: ProviderFailure, _ attempt: Int, _ patience: Duration, _ limits: Limits, _ delivery: Delivery
    ) throws -> Duration {
        let delay = failure.retryAfter ?? Self.backoff(attempt)
        guard failure.isRetryable, !delivery.hasBegun, attempt < configuration.retries, delay <= patience,
            .now + delay < limits.beginning
        else { throw failure }
        return delay
    }

    // What follows stands apart from the functions that wait for the provider: whatever such a function has ever used,
    // it keeps until it is over.

    /// The failure without what callers must not see.
    @inline(never)
    private func noted(_ failure: ProviderFailure) -> ProviderFailure {
        var failure = failure
        failure.message = errorText.redacted(failure.message)
        var metadata: Logger.Metadata = [
            "provider": "\(configuration.name)", "reason": "\(failure.reason.rawValue)",
        ]
        if let status = failure.status { metadata["http.status"] = "\(status)" }
        logger.warning("provider failed", metadata: metadata)
        return failure
    }

    /// 0.2 s, doubled each time up to 5 s, each drawn from its upper half so that callers do not come back together.
    private static func backoff(_ attempt: Int) -> Duration {
        let ceiling = min(0.2 * Double(1 << min(attempt, 8)), 5)
        return .seconds(Double.random(in: ceiling / 2...ceiling))
    }

    // MARK: One request

    /// Until when a reply is waited for.
    private struct Limits {
        /// It must be whole.
        let end: ContinuousClock.Instant
        /// It must have begun, if it is streamed.
        let beginning: ContinuousClock.Instant

        init(of request: ModelRequest, _ configuration: ProviderConfiguration, isStreamed: Bool) {
            let now = ContinuousClock.now
            let longest = now + (isStreamed ? configuration.streamTimeout : configuration.timeout)
            end = min(longest, request.deadline ?? longest)
            beginning = min(end, now + configuration.timeout, request.beginning ?? end)
        }
    }

    private func send(
        _ request: ModelRequest, _ limits: Limits, _ delivery: Delivery
    ) async throws -> ModelReply {
        do {
            try await slots.enter(until: limits.beginning)
        } catch is ProviderSlots.Exhausted {
            throw ProviderFailure(.busy, "the provider is busy")
        }
        defer { slots.leave() }
        let refused = unsupported.withLock { $0 }
        do {
            return try await metered(request, without: refused, limits, delivery)
        } catch let failure as ProviderFailure {
            let suspects = Self.suspects(failure, in: request, streamed: delivery.isWanted).subtracting(refused)
            guard !suspects.isEmpty, !delivery.hasBegun else { throw failure }
            let reply = try await metered(request, without: refused.union(suspects), limits, delivery)
            note(unsupported: suspects)
            return reply
        }
    }

    @inline(never)
    private func note(unsupported suspects: Set<ChatCompletion.Extra>) {
        unsupported.withLock { $0.formUnion(suspects) }
        logger.warning(
            "provider does not take part of the protocol",
            metadata: ["provider": "\(configuration.name)", "without": "\(suspects)"])
    }

    /// Servers that do not know tools, or the wish for usage, refuse the request with a word about it.
    @inline(never)
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
        _ request: ModelRequest, without refused: Set<ChatCompletion.Extra>, _ limits: Limits, _ delivery: Delivery
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
            let request = curlRequest(request, streamed: delivery.isWanted, without: refused, until: limits.end)
            let reply =
                delivery.isWanted
                ? try await streamed(request, by: limits.beginning, delivery, start) : try await whole(request)
            metrics.requests.with(name, "ok").increment()
            if let usage = reply.usage {
                metrics.tokens.with(name, "prompt").increment(by: UInt64(usage.prompt))
                metrics.tokens.with(name, "completion").increment(by: UInt64(usage.completion))
            }
            tracer?.record(configuration, from: spanStart, usage: reply.usage)
            return reply
        } catch {
            throw counted(error, from: spanStart)
        }
    }

    @inline(never)
    private func counted(_ error: any Error, from start: NIODeadline) -> any Error {
        if Task.isCancelled {
            metrics.requests.with(configuration.name, "cancelled").increment()
            tracer?.record(configuration, from: start, error: "cancelled")
            return CancellationError()
        }
        let failure =
            switch error {
            case is CancellationError: ProviderFailure(.broken, "")
            case let error as ProviderFailure: error
            case let error as CurlError: ProviderFailure(error)
            case let error as AnswerError: ProviderFailure(error)
            // An event beyond the parser's limit.
            default: ProviderFailure(.tooLarge, "the provider's answer is too large")
            }
        metrics.requests.with(configuration.name, failure.reason.rawValue).increment()
        tracer?.record(configuration, from: start, error: failure.reason.rawValue, status: failure.status)
        return failure
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
        _ request: CurlRequest, by beginning: ContinuousClock.Instant, _ delivery: Delivery,
        _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let watch = SilenceWatch(
            first: min(configuration.firstTokenTimeout, beginning - .now), later: configuration.idleTimeout)
        silences.add(watch)
        defer { silences.remove(watch) }
        do {
            return try await read(request, delivery, watch, start)
        } catch  where watch.isOver {
            throw ProviderFailure(
                .timeout,
                delivery.hasBegun
                    ? "the provider stopped in the middle of its answer" : "the provider did not answer in time")
        }
    }

    /// An answer that comes whole though it was to be streamed.
    private func whole(_ response: CurlStreamedResponse) async throws -> ModelReply {
        let body = try await response.body.collect(upTo: configuration.maxAnswer)
        return try reply(
            status: response.status, headers: response.headers, body: Array(body.readableBytesView))
    }

    private func read(
        _ request: CurlRequest, _ delivery: Delivery, _ watch: SilenceWatch, _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let response = try await engine.stream(request) { watch.guards($0) }
        let isEvents =
            response.headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
        guard isEvents, (200..<300).contains(response.status) else {
            let reply = try await whole(response)
            if !reply.text.isEmpty { await pass(reply.text, delivery, watch, start) }
            return reply
        }
        var parser = SSEParser(maximumEventBytes: configuration.maxAnswer)
        var stream = ChatCompletionStream()
        var lastSign = ContinuousClock.now
        for try await chunk in response.body {
            try Task.checkCancellation()
            for event in try parser.feed(chunk.readableBytesView) where event.hasData {
                let delta = try stream.receive(event.data)
                // Comments and empty events keep a connection open, but they are no answer.
                guard stream.hasBegun else { continue }
                watch.heard()
                if let delta {
                    await pass(delta, delivery, watch, start)
                    lastSign = .now
                } else if !stream.isDone, ContinuousClock.now - lastSign >= signInterval {
                    // It thinks, or writes what a tool is to be given.
                    watch.pause()
                    await delivery.sign()
                    watch.heard()
                    lastSign = .now
                }
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

    /// Says that the work goes on.
    func sign() async { await onDelta?("") }
}
