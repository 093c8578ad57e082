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
    let engine: CurlEngine
    let metrics: AssistantMetrics
    private let tracer: SpanExporter?
    private let logger: Logger
    private let places: AsyncSemaphore
    let idleTimeouts = IdleTimeouts()
    private let errorText: ErrorText
    private let sleep: @Sendable (Duration) async throws -> Void
    /// Time between two signs of life to the caller while the model sends nothing.
    let signInterval: Duration
    /// Form in which the model marks its reasoning, as far as it is known.
    let reasoning: Mutex<ReasoningStyle>
    /// Parts of the protocol that the provider has refused.
    private let unsupported = Mutex<Set<ChatCompletion.Extra>>([])

    /// Creates a provider that sends its requests through the engine.
    init(
        configuration: ProviderConfiguration, engine: CurlEngine, metrics: AssistantMetrics,
        tracer: SpanExporter? = nil,
        logger: Logger, signInterval: Duration = .seconds(5),
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.configuration = configuration
        self.engine = engine
        self.metrics = metrics
        self.tracer = tracer
        self.logger = logger
        self.signInterval = signInterval
        self.sleep = sleep
        places = AsyncSemaphore(limit: configuration.maxConcurrent)
        errorText = ErrorText(configuration)
        reasoning = Mutex(ReasoningStyle(configuration))
    }

    func reply(to request: ModelRequest, onDelta: ResponseDelta?) async throws -> ModelReply {
        do {
            return try await reply(to: request, patience: .seconds(60), delivery: Delivery(onDelta))
        } catch let failure as ProviderError {
            throw AssistantError(failure.message)
        }
    }

    /// Answers with the failure in its original form.
    /// - Parameter patience: Longest wait before a retry.
    func reply(to request: ModelRequest, patience: Duration, delivery: Delivery) async throws -> ModelReply {
        let limits = Limits(of: request, configuration, isStreamed: delivery.isWanted)
        var attempt = 0
        while true {
            do {
                return try await send(request, limits, delivery)
            } catch let failure as ProviderError {
                let delay = try pause(after: noted(failure), attempt, patience, limits, delivery)
                attempt += 1
                metrics.retries.with(configuration.name).increment()
                try await sleep(delay)
            }
        }
    }

    /// Returns the pause before the request is sent again.
    /// - Throws: The failure, when the request must not be repeated.
    @inline(never)
    private func pause(
        after failure: ProviderError, _ attempt: Int, _ patience: Duration, _ limits: Limits, _ delivery: Delivery
    ) throws -> Duration {
        let delay = failure.retryAfter ?? Self.backoff(attempt)
        guard failure.isRetryable, !delivery.hasBegun, attempt < configuration.retries, delay <= patience,
            .now + delay < limits.beginning
        else { throw failure }
        return delay
    }

    // The following functions are separate from those that wait for the provider: an async function keeps all variables
    // that it has ever used until it returns.

    /// Returns the failure without the details that callers must not see.
    @inline(never)
    private func noted(_ failure: ProviderError) -> ProviderError {
        var failure = failure
        failure.message = errorText.redacted(failure.message)
        var metadata: Logger.Metadata = [
            "provider": "\(configuration.name)", "reason": "\(failure.reason.rawValue)",
        ]
        if let status = failure.status { metadata["http.status"] = "\(status)" }
        logger.warning("provider failed", metadata: metadata)
        return failure
    }

    /// Returns the pause before an attempt: 0.2 s, doubled each time up to 5 s, with a random reduction by up to half
    /// so that callers do not come back together.
    private static func backoff(_ attempt: Int) -> Duration {
        let ceiling = min(0.2 * Double(1 << min(attempt, 8)), 5)
        return .seconds(Double.random(in: ceiling / 2...ceiling))
    }

    // MARK: One request

    /// Instants until which a reply is waited for.
    struct Limits {
        /// End of the wait for a whole reply.
        let end: ContinuousClock.Instant
        /// End of the wait for the beginning of a streamed reply.
        let beginning: ContinuousClock.Instant

        /// Takes the earliest of the configuration's limits and the request's.
        init(
            of request: ModelRequest, _ configuration: ProviderConfiguration, isStreamed: Bool,
            now: ContinuousClock.Instant = .now
        ) {
            let longest = now + (isStreamed ? configuration.streamTimeout : configuration.timeout)
            end = min(longest, request.deadline ?? longest)
            beginning = min(end, now + configuration.timeout, request.beginning ?? end)
        }
    }

    private func send(
        _ request: ModelRequest, _ limits: Limits, _ delivery: Delivery
    ) async throws -> ModelReply {
        do {
            try await places.acquire(until: limits.beginning)
        } catch is AsyncSemaphore.TimedOut {
            throw ProviderError(.busy, "the provider is busy")
        }
        defer { places.release() }
        var refused = unsupported.withLock { $0 }
        var suspected: Set<ChatCompletion.Extra> = []
        while true {
            do {
                let reply = try await metered(request, without: refused, limits, delivery)
                if !suspected.isEmpty { note(unsupported: suspected) }
                return reply
            } catch let failure as ProviderError {
                let isStreamed = Self.isStreamed(delivery, without: refused)
                let suspects = failure.suspects(in: request, isStreamed: isStreamed).subtracting(refused)
                guard !suspects.isEmpty, !delivery.hasBegun else { throw failure }
                refused.formUnion(suspects)
                suspected.formUnion(suspects)
            }
        }
    }

    @inline(never)
    private func note(unsupported suspects: Set<ChatCompletion.Extra>) {
        unsupported.withLock { $0.formUnion(suspects) }
        logger.warning(
            "AI provider does not support a part of the protocol; requests go on without it",
            metadata: ["provider": "\(configuration.name)", "without": "\(suspects)"])
    }

    /// Returns whether the response to a request is streamed: if the caller wants it and the provider can, or if the
    /// provider cannot otherwise.
    private static func isStreamed(_ delivery: Delivery, without refused: Set<ChatCompletion.Extra>) -> Bool {
        refused.contains(.wholeAnswers) || (delivery.isWanted && !refused.contains(.streams))
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
            let isStreamed = Self.isStreamed(delivery, without: refused)
            let request = curlRequest(request, streamed: isStreamed, without: refused, until: limits.end)
            let reply =
                isStreamed
                ? try await streamed(request, by: limits.beginning, delivery, start)
                : try await whole(request, delivery, start)
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
            case is CancellationError: ProviderError(.broken, "")
            case let error as ProviderError: error
            case let error as CurlError: ProviderError(error)
            case let error as AssistantError: ProviderError(error)
            // The event exceeds the parser's limit.
            default: ProviderError(.tooLarge, "the provider's answer is too large")
            }
        metrics.requests.with(configuration.name, failure.reason.rawValue).increment()
        tracer?.record(configuration, from: start, error: failure.reason.rawValue, status: failure.status)
        return failure
    }
}
