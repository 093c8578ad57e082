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
    let metrics: AnswerMetrics
    private let tracer: SpanExporter?
    private let logger: Logger
    private let places: AsyncSemaphore
    let idleTimeouts = IdleTimeouts()
    private let errorText: ErrorText
    private let sleep: @Sendable (Duration) async throws -> Void
    /// Time between two signs to the caller that the model is at work, while it says nothing.
    let signInterval: Duration
    /// Knowledge of how the model marks its reasoning.
    let reasoning: Mutex<ReasoningStyle>
    /// Parts of the protocol that the provider has refused.
    private let unsupported = Mutex<Set<ChatCompletion.Extra>>([])

    /// A provider that sends its requests through the engine.
    init(
        configuration: ProviderConfiguration, engine: CurlEngine, metrics: AnswerMetrics, tracer: SpanExporter? = nil,
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
                try await sleep(delay)
            }
        }
    }

    /// Returns the pause before the request is sent again.
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

    // The following stands apart from the functions that wait for the provider: all that such a function has ever used,
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

    /// Instants until which a reply is waited for.
    struct Limits {
        /// End of the wait for a whole reply.
        let end: ContinuousClock.Instant
        /// End of the wait for the beginning of a streamed reply.
        let beginning: ContinuousClock.Instant

        /// Takes the nearest of the configuration's limits and the request's.
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
            throw ProviderFailure(.busy, "the provider is busy")
        }
        defer { places.release() }
        var refused = unsupported.withLock { $0 }
        var suspected: Set<ChatCompletion.Extra> = []
        while true {
            do {
                let reply = try await metered(request, without: refused, limits, delivery)
                if !suspected.isEmpty { note(unsupported: suspected) }
                return reply
            } catch let failure as ProviderFailure {
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
            "provider does not take part of the protocol",
            metadata: ["provider": "\(configuration.name)", "without": "\(suspects)"])
    }

    /// Indicates whether the answer to a request comes in pieces: as the caller wants it, or as the provider can.
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
}
